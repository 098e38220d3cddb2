//! A real process: started with a log, shown when the test fails, and never left behind.
//!
//! Our own programs are started through `atoll launch`, which ties them to the test in the kernel;
//! so even a test runner that is killed leaves nothing running. A daemon whose log holds an error
//! or a panic fails the test, even if all answers looked right.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::Program;
use crate::exec;
use crate::wait;

/// Lines of a log that are shown when a test fails.
const SHOWN: usize = 60;

/// What a process finds in its environment beside what all do.
pub type Vars = Vec<(OsString, OsString)>;

/// A running process.
#[derive(Debug)]
pub struct Daemon {
    title: String,
    command: Vec<OsString>,
    vars: Vars,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts one of our programs with settings. Its log goes to `dir`.
    #[must_use]
    pub fn start(title: &str, program: Program, sets: &[String], dir: &Path) -> Self {
        Self::start_among(&Vars::new(), title, program, sets, dir)
    }

    /// Starts one of our programs with settings, and with these in its environment.
    #[must_use]
    pub fn start_among(
        vars: &Vars,
        title: &str,
        program: Program,
        sets: &[String],
        dir: &Path,
    ) -> Self {
        let set = |set: &String| ["--set".to_owned(), set.clone()];
        let args: Vec<String> = sets.iter().flat_map(set).collect();
        Self::start_with_among(vars, title, program, &args, dir)
    }

    /// Starts one of our programs with arguments.
    #[must_use]
    pub fn start_with(title: &str, program: Program, args: &[String], dir: &Path) -> Self {
        Self::start_with_among(&Vars::new(), title, program, args, dir)
    }

    /// Starts one of our programs with arguments, and with these in its environment.
    #[must_use]
    pub fn start_with_among(
        vars: &Vars,
        title: &str,
        program: Program,
        args: &[String],
        dir: &Path,
    ) -> Self {
        let parent = std::process::id().to_string();
        let mut command: Vec<OsString> = vec![Program::Atoll.path().into()];
        command.extend(["launch", "--parent", &parent, "--"].map(OsString::from));
        command.push(program.path().into());
        command.extend(args.iter().map(OsString::from));
        Self::spawn(title, command, vars.clone(), dir)
    }

    /// Starts any program.
    #[must_use]
    pub fn start_other(title: &str, program: &Path, args: &[&str], dir: &Path) -> Self {
        let mut command: Vec<OsString> = vec![program.into()];
        command.extend(args.iter().map(OsString::from));
        Self::spawn(title, command, Vars::new(), dir)
    }

    fn spawn(title: &str, command: Vec<OsString>, vars: Vars, dir: &Path) -> Self {
        let mut daemon = Self {
            title: title.to_owned(),
            command,
            vars,
            log: dir.join(format!("{title}.log")),
            child: None,
        };
        daemon.run();
        daemon
    }

    fn run(&mut self) {
        let mut options = OpenOptions::new();
        let log: File = options.create(true).append(true).open(&self.log).unwrap();
        let (program, args) = self.command.split_first().unwrap();
        let mut command: Command = exec::command(program).into_std();
        command
            .args(args)
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        // Ctrl-C at the terminal is for the test, which then ends its children.
        command.process_group(0);
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{program:?}: {error}")));
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Ends it as a power failure would, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.stop_by(Signal::TERM).await
    }

    /// Ends it by a signal, and waits until it has ended.
    pub async fn stop_by(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let mut child = self.child.take().unwrap();
        let what = format!("{} ends when asked to", self.title);
        wait::some(&what, wait::EVENTUALLY, async || child.try_wait().unwrap()).await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// Starts it again, as it was started.
    pub fn start_again(&mut self) {
        assert!(!self.runs(), "{} runs already", self.title);
        self.run();
    }

    /// All that it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory it had resident so far, in bytes (`VmHWM`). `None` where the system does
    /// not tell.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1_024)
    }

    fn show_log(&self) {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(SHOWN);
        let mut text = format!("---- log of {} ({})\n", self.title, self.log.display());
        for line in log.lines().skip(skipped) {
            text.push_str(line);
            text.push('\n');
        }
        crate::skip::say(&text);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = self.child.as_ref().map(Child::id);
        self.kill();
        if let Some(pid) = pid.filter(|_| !self.vars.is_empty()) {
            crate::calendar::forget(pid);
        }
        if std::thread::panicking() {
            self.show_log();
            return;
        }
        let log = self.log();
        let bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
        if let Some(line) = log.lines().find(bad) {
            self.show_log();
            panic!("{} wrote: {line}", self.title);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Daemon {
        let shell = exec::find("sh").unwrap();
        Daemon::start_other("shell", &shell, &["-c", script], dir)
    }

    fn is_there(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[tokio::test]
    async fn a_daemon_is_stopped_started_again_and_gone_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = shell("echo up; while :; do sleep 0.01; done", dir.path());
        wait::until("it is up", wait::SOON, async || daemon.log() == "up\n").await;
        daemon.stop().await;
        assert!(!daemon.runs());
        daemon.start_again();
        wait::until("it is up again", wait::SOON, async || {
            daemon.log() == "up\nup\n"
        })
        .await;
        let pid = daemon.pid();
        assert!(is_there(pid));
        drop(daemon);
        assert!(!is_there(pid));
    }

    #[tokio::test]
    #[should_panic(expected = "shell wrote: thread 'x' panicked at y")]
    async fn a_daemon_that_panicked_fails_the_test() {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = shell("echo \"thread 'x' panicked at y\"", dir.path());
        wait::until("it has ended", wait::SOON, async || !daemon.runs()).await;
    }
}
