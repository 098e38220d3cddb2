//! Documents for operators, run as they stand: what their `sh` blocks have typed, in order, in one directory.
//!
//! The first line of a block says where it is typed. Under `# at the controller` and `# anywhere` it is run once; under
//! `# on each node` and `# at the controller, for each node` once for each node, with the number of that one in the
//! place of the first one's; under `# as root` it is not run at all, for it belongs to a machine with
//! systemd: [`Block::check`] holds it against what the tree has. A line that ends in `&` goes on beside the others. A
//! command that says no is typed again, as a person does who was too quick.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::binaries::{Program, workspace};
use crate::daemon::Daemon;
use crate::exec::{self, Ran, command, run_ours, run_within};
use crate::place::Place;
use crate::wait::{self, EVENTUALLY};

/// How often a command is typed again before it is believed.
const TRIES: usize = 120;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What the nodes of documents are numbered from.
const FIRST: u8 = 1;

/// Where a block is typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// On one machine.
    Once,
    /// For every node.
    EachNode,
    /// On a machine with systemd.
    AsRoot,
}

/// A block of commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where it is typed.
    pub at: Where,
    /// Its commands, whole.
    pub commands: Vec<String>,
}

/// The blocks of `docs/operating/NAME.md`.
#[must_use]
pub fn blocks(name: &str) -> Vec<Block> {
    let path = workspace().join(format!("docs/operating/{name}.md"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| Block::read(block)).collect()
}

impl Block {
    fn read(text: &str) -> Self {
        let mut lines = text.lines().peekable();
        let heading = lines.next_if(|line| line.starts_with('#'));
        let at = match heading.unwrap_or("# anywhere") {
            "# anywhere" | "# at the controller" | "# at the controller, stopped" => Where::Once,
            "# on each node" | "# at the controller, for each node" => Where::EachNode,
            "# as root, on each node" => Where::AsRoot,
            other => panic!("{other:?} says no place that is known here"),
        };
        let mut commands = Vec::new();
        while let Some(line) = lines.next() {
            let mut command = line.to_owned();
            let end = if line.starts_with("for ") { "done" } else { "" };
            while !end.is_empty() && command.lines().last() != Some(end) {
                command.push('\n');
                command.push_str(lines.next().unwrap());
            }
            commands.push(command);
        }
        Self { at, commands }
    }

    /// Holds what cannot be run against the tree: files that are named there, units, and the commands of those.
    pub async fn check(&self) {
        for command in &self.commands {
            let words = command.split_ascii_whitespace();
            for word in words.clone().filter(|word| word.starts_with("ops/")) {
                assert!(workspace().join(word).is_file(), "{word} is not there");
            }
            for unit in words.filter(|word| word.ends_with(".service")) {
                let unit = unit.rsplit('/').next().unwrap();
                let file = workspace().join("ops/packaging/systemd").join(unit);
                let text = std::fs::read_to_string(&file);
                let text = text.unwrap_or_else(|_| panic!("{unit} is not there"));
                let start = text
                    .lines()
                    .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/"));
                is_understood(start.unwrap()).await;
            }
        }
    }
}

/// Whether a command of ours has such a subcommand and such flags.
async fn is_understood(line: &str) {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let (program, rest) = words.split_first().unwrap();
    let ours = Program::ALL.into_iter().find(|p| p.name() == *program);
    let ours = ours.unwrap_or_else(|| panic!("{program} is none of ours"));
    let flags = rest.iter().filter(|word| word.starts_with('-'));
    // `atoll` has subcommands, and the first word names one.
    let named = rest.first().filter(|_| ours == Program::Atoll);
    let asked: Vec<&str> = named.copied().into_iter().chain(["--help"]).collect();
    let help = run_ours(ours, &asked).await.ok();
    for flag in flags {
        assert!(help.contains(*flag), "{line}: no {flag}");
    }
}

/// What is typed for a node, by its number.
type Swap = Box<dyn Fn(u8) -> String + Send>;

/// Somebody who follows a document.
#[expect(missing_debug_implementations, reason = "holds functions")]
pub struct Reader {
    dir: PathBuf,
    /// What stands in the document, and what is typed for it; the first to fit counts.
    swaps: Vec<(String, String)>,
    /// The same for a node: made of its number.
    node_swaps: Vec<(String, Swap)>,
    nodes: u8,
    /// For a command to end.
    patience: Duration,
    exports: String,
    /// What goes on beside, and how it was typed.
    beside: Vec<(String, Daemon)>,
    /// What was typed, and what came.
    transcript: String,
}

impl Reader {
    /// One with a directory of `place`, and so many nodes.
    #[must_use]
    pub fn new(place: &Place, nodes: u8) -> Self {
        let dir = place.file("reader");
        std::fs::create_dir_all(&dir).unwrap();
        Self {
            dir,
            swaps: Vec::new(),
            node_swaps: Vec::new(),
            nodes,
            patience: EVENTUALLY,
            exports: String::new(),
            beside: Vec::new(),
            transcript: String::new(),
        }
    }

    /// Where everything is typed.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Has `new` typed where `old` stands.
    pub fn swap(&mut self, old: &str, new: impl Into<String>) {
        self.swaps.push((old.to_owned(), new.into()));
    }

    /// The same where the number of a node matters: in what is typed for each.
    pub fn swap_for_node(&mut self, old: &str, new: impl Fn(u8) -> String + Send + 'static) {
        self.node_swaps.push((old.to_owned(), Box::new(new)));
    }

    /// Lets commands take so long.
    pub const fn wait_up_to(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// What was typed, and what came.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Sets a variable.
    pub fn export(&mut self, name: &str, value: &str) {
        self.exports.push_str(&format!("export {name}='{value}'\n"));
    }

    /// Ends what goes on beside.
    pub fn stop(&mut self) {
        self.beside.clear();
    }

    /// Ends of it what was typed with this beginning.
    pub fn stop_those(&mut self, begin: &str) {
        self.beside.retain(|(typed, _)| !typed.starts_with(begin));
    }

    /// Types all of a document. `codes` says for a beginning of a command how it may end; others end well.
    pub async fn follow(&mut self, name: &str, codes: &[(&str, &[i32])]) -> Vec<(String, Ran)> {
        let mut all = Vec::new();
        for block in blocks(name) {
            all.extend(self.follow_block(&block, codes).await);
        }
        assert!(!all.is_empty(), "{name} has nothing to type");
        all
    }

    /// Types one block.
    pub async fn follow_block(
        &mut self,
        block: &Block,
        codes: &[(&str, &[i32])],
    ) -> Vec<(String, Ran)> {
        let numbers = match block.at {
            Where::AsRoot => {
                block.check().await;
                return Vec::new();
            }
            Where::Once => FIRST..FIRST + 1,
            Where::EachNode => FIRST..FIRST + self.nodes,
        };
        let mut all = Vec::new();
        for number in numbers {
            for command in &block.commands {
                let mut typed = command.clone();
                if block.at == Where::EachNode {
                    for (old, new) in &self.node_swaps {
                        typed = typed.replace(old, &new(number));
                    }
                }
                for (old, new) in &self.swaps {
                    typed = typed.replace(old, new);
                }
                let may = codes.iter().find(|(begins, _)| command.starts_with(begins));
                let ran = self.enter(&typed, may.map_or(&[0], |(_, codes)| *codes));
                all.extend(ran.await.map(|ran| (command.clone(), ran)));
            }
        }
        all
    }

    async fn enter(&mut self, typed: &str, codes: &[i32]) -> Option<Ran> {
        self.transcript.push_str(&format!("$ {typed}\n"));
        if typed.starts_with("export ") {
            self.exports.push_str(typed);
            self.exports.push('\n');
            return None;
        }
        if let Some(beside) = typed.strip_suffix('&') {
            // Tied to this process, whatever becomes of it.
            let parent = std::process::id();
            let launched = format!("exec atoll launch --parent {parent} -- {beside}");
            let script = self.script(&launched);
            let title = format!("beside-{}", self.beside.len());
            let shell = exec::find("sh").unwrap();
            let daemon = Daemon::start_other(&title, &shell, &["-c", &script], &self.dir);
            self.beside.push((typed.to_owned(), daemon));
            return None;
        }
        let script = self.script(typed);
        for _ in 0..TRIES {
            let ran = self.run(&script).await;
            if ran.code.is_some_and(|code| codes.contains(&code)) {
                self.transcript.push_str(&ran.out);
                self.transcript.push_str(&ran.err);
                return Some(ran);
            }
            wait::pause(PAUSE).await;
        }
        let ran = self.run(&script).await;
        let so_far = &self.transcript;
        panic!("{so_far}\n{typed}: {:?}\n{}{}", ran.code, ran.out, ran.err);
    }

    async fn run(&self, script: &str) -> Ran {
        let mut shell = command(exec::find("sh").unwrap());
        run_within(shell.args(["-c", script]), self.patience).await
    }

    fn script(&self, command: &str) -> String {
        let programs = Program::Atoll.path();
        format!(
            "set -eu\ncd '{dir}'\nexport PATH='{programs}':\"$PATH\" TMPDIR='{dir}' XDG_RUNTIME_DIR='{dir}'\n{}{command}\n",
            self.exports,
            dir = self.dir.display(),
            programs = programs.parent().unwrap().display(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_where_and_keeps_loops_whole() {
        let block = Block::read("# on each node\na\nfor n in 1; do\nb\ndone\nc &\n");
        assert_eq!(block.at, Where::EachNode);
        assert_eq!(block.commands, ["a", "for n in 1; do\nb\ndone", "c &"]);
        assert_eq!(Block::read("a\n").at, Where::Once);
        assert_eq!(
            Block::read("# as root, on each node\na\n").at,
            Where::AsRoot
        );
    }
}
