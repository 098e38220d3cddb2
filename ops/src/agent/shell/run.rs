//! The loop: what happened goes into the engine, what comes out is carried out.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::rng::Generator;
use common::shell::signals::Shutdown;
use common::shell::supervisor::KEPT_MAX;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::call::{Answer, Controller};
use super::happening::{Happening, Message};
use super::home::Home;
use super::look::TestPage;
use super::notices;
use super::process::{self, Legacy, Process};
use super::{door, look, slot};
use crate::agent::engine::contact::Heard;
use crate::agent::engine::life::{Berth, Sign};
use crate::agent::engine::record::DamageReason;
use crate::agent::engine::standing::Standing;
use crate::agent::engine::{Agent, Config, Effect, Event, Start};
use crate::engine::document::Signed;
use crate::engine::document::key::{PublicKey, SigningKey};
use crate::engine::document::report::Report;
use crate::engine::document::words::{DaemonName, Digest, Version};
use crate::outcome::{Exit, Failure, Outcome};

/// Happenings that wait for the loop. Senders wait when it is full.
const QUEUE: usize = 256;

/// Between looks at the operator's hold.
const LOOK: Duration = Duration::from_millis(500);

/// What an agent is started with.
#[expect(missing_debug_implementations, reason = "holds a private key")]
pub struct Options {
    /// Its directory.
    pub home: Home,
    /// Its key.
    pub key: SigningKey,
    /// Where its controller is; none for a node that is looked after by hand.
    pub controller: Option<Controller>,
    /// Who may sign releases.
    pub trust_releases: Vec<PublicKey>,
    /// Whether daemons end with the agent.
    pub together: bool,
    /// This very program.
    pub launcher: PathBuf,
    /// Between looks at daemons' pages.
    pub look: Duration,
    /// Pages that the own proxy is asked for at each look.
    pub inject: Vec<TestPage>,
    /// How it decides.
    pub config: Config,
}

struct Shell {
    options: Options,
    agent: Agent,
    clock: SystemClock,
    sequence: u64,
    processes: BTreeMap<(DaemonName, Berth), Process>,
    /// Sockets of daemons, for their processes to come.
    sockets: BTreeMap<DaemonName, BTreeMap<String, OwnedFd>>,
    tasks: JoinSet<()>,
    call: Option<AbortHandle>,
    /// When to look at daemons' pages next; nothing while somebody looks.
    look_at: Option<Moment>,
    tell: mpsc::Sender<Happening>,
}

/// Runs an agent until it is asked to end.
///
/// # Errors
/// Its directory is another agent's or cannot be used.
pub async fn run(options: Options, mut shutdown: Shutdown) -> Outcome {
    let home = options.home.clone();
    let advice = "name another --state directory, or stop the agent that has it";
    let failed =
        |error: std::io::Error| Failure::failed(format!("cannot run here: {error}"), advice);
    let taken = home.take().map_err(failed)?;
    let socket = door::open(&home.socket()).map_err(failed)?;
    let notices = notices::open(&home.notices()).map_err(failed)?;
    let (tell, mut heard) = mpsc::channel(QUEUE);
    let mut shell = Shell::new(options, tell.clone())?;
    shell.tasks.spawn(door::serve(socket, tell.clone()));
    shell.tasks.spawn(notices::serve(notices, tell));
    loop {
        shell.carry_out();
        shell.look();
        let wake = shell.clock.instant(shell.agent.wake());
        tokio::select! {
            () = shutdown.draining() => break,
            Some(happening) = heard.recv() => shell.handle(happening),
            () = tokio::time::sleep_until(wake.into()) => shell.agent.handle_wake(shell.clock.moment()),
            () = tokio::time::sleep(LOOK) => {}
        }
        let held = home.held();
        shell.agent.handle_hold(held, shell.clock.moment());
        while shell.tasks.try_join_next().is_some() {}
    }
    if shell.options.together {
        shell.end_all(&mut heard).await;
    }
    drop(std::fs::remove_file(home.socket()));
    drop(taken);
    Ok(Exit::Ok)
}

impl Shell {
    /// An agent that goes on where the one before it ended.
    fn new(options: Options, tell: mpsc::Sender<Happening>) -> Result<Self, Failure> {
        let clock = SystemClock::new();
        let rng = Generator::from_system().map_err(|error| {
            Failure::failed(
                format!("the system gives no random bytes: {error}"),
                "try again",
            )
        })?;
        let begun = options.home.begin(clock.wall());
        let (sequence, standing) = begun.map_err(no_state)?;
        let mut shell = Self {
            agent: Agent::new(options.config.clone(), standing, rng, clock.moment()),
            clock,
            sequence,
            processes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            tasks: JoinSet::new(),
            call: None,
            look_at: Some(clock.moment()),
            options,
            tell,
        };
        shell.find_what_is_here();
        Ok(shell)
    }

    fn find_what_is_here(&mut self) {
        let now = self.clock.moment();
        let held = self.options.home.held();
        for (name, berth, record, process) in process::survivors(&self.options.home) {
            tracing::info!(daemon = %name, pid = record.pid, "runs already");
            self.agent
                .handle_found(name.clone(), berth, record.wanted, now);
            let end = process::survivor_ended(self.options.home.clone(), name.clone(), berth);
            self.watch(name.clone(), berth, end);
            self.processes.insert((name, berth), process);
        }
        self.agent.handle_hold(held, now);
        for manifest in slot::list(&self.options.home, &self.judge()) {
            self.agent.handle_slot(manifest, now);
        }
        self.agent.handle_wake(now);
    }

    /// What releases on the disk are judged by.
    fn judge(&self) -> slot::Judge {
        slot::Judge {
            followed: self.agent.standing().followed(),
            trust: self.options.trust_releases.clone(),
        }
    }

    /// Has `work` done beside the loop, and the loop told what came of it.
    fn aside(&mut self, work: impl Future<Output = Happening> + Send + 'static) -> AbortHandle {
        let tell = self.tell.clone();
        self.tasks
            .spawn(async move { drop(tell.send(work.await).await) })
    }

    fn watch(
        &mut self,
        name: DaemonName,
        berth: Berth,
        end: impl Future<Output = String> + Send + 'static,
    ) {
        self.aside(async move { Happening::Ended(name, berth, end.await) });
    }

    fn handle(&mut self, happening: Happening) {
        let now = self.clock.moment();
        match happening {
            Happening::Kept(kept) => self.agent.handle_kept(kept, now),
            Happening::Slot(manifest) => self.agent.handle_slot(*manifest, now),
            Happening::NoSlot(version, why) => self.agent.handle_no_slot(&version, why, now),
            Happening::Checked(start, checked) => self.start(*start, checked),
            Happening::Ended(name, berth, how) => {
                let process = (name, berth);
                self.processes.remove(&process);
                self.agent.handle_ended(&process.0, berth, how, now);
            }
            Happening::Told(message) => self.told(message),
            Happening::Answered(answer, ahead_s) => {
                if let Some(ahead_s) = ahead_s {
                    self.agent.handle_date(ahead_s);
                }
                let heard = match &answer {
                    Answer::Document(bytes) => Heard::Document(bytes),
                    Answer::Nothing => Heard::Nothing,
                    Answer::Failure(reason) => Heard::Failure(*reason),
                };
                self.agent.handle_heard(heard, now);
            }
            Happening::Looked(looks, pages) => {
                for (url, body) in pages {
                    self.agent.handle_injected(&url, body);
                }
                for (name, look) in looks {
                    self.agent.handle_looked(&name, look, now);
                }
                self.look_at = Some(now + self.options.look);
            }
            Happening::Asked(ask) => drop(ask.send(self.agent.view(now))),
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Keep(standing) => self.keep(*standing),
                Effect::Fetch(version, digest) => self.fetch(version, digest),
                Effect::Forget(version) => slot::forget(&self.options.home, &version),
                Effect::Start(start) => self.check(start),
                Effect::Tell(name, berth, sign) => self.tell(name, berth, sign),
                Effect::Release(name) => drop(self.sockets.remove(&name)),
                Effect::Call(report) => self.call(*report),
                Effect::Say(event) => say(&event),
            }
        }
    }

    /// Looks at daemons' pages, if it is time.
    fn look(&mut self) {
        let now = self.clock.moment();
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            let pages = self.agent.pages();
            let (proxy, inject) = (self.agent.own_proxy(), self.options.inject.clone());
            self.aside(async move {
                let looks = look::look(pages).await;
                let came = match proxy {
                    Some(addr) => look::inject(addr, &inject).await,
                    None => Vec::new(),
                };
                Happening::Looked(looks, came)
            });
        }
    }

    fn keep(&mut self, standing: Standing) {
        self.sequence += 1;
        let (home, sequence) = (self.options.home.clone(), self.sequence);
        self.aside(async move {
            let kept = spawn_blocking(move || home.keep(sequence, &standing)).await;
            if let Err(error) = &kept {
                tracing::warn!(%error, "the state cannot be written");
            }
            Happening::Kept(kept.is_ok())
        });
    }

    fn fetch(&mut self, version: Version, digest: Digest) {
        let (home, judge) = (self.options.home.clone(), self.judge());
        let controller = self.options.controller.clone();
        self.aside(async move {
            let (place, asked) = ((home.clone(), judge.clone()), version.clone());
            let look = move || Ok(slot::here(&place.0, &place.1, (&asked, digest)));
            if let Ok(Some(manifest)) = spawn_blocking(look).await {
                return Happening::Slot(Box::new(manifest));
            }
            let Some(controller) = controller else {
                return Happening::NoSlot(version, "there is no controller".to_owned());
            };
            match slot::fetch(&home, &controller, &judge.trust, (&version, digest)).await {
                Ok(manifest) => Happening::Slot(Box::new(manifest)),
                Err(error) => Happening::NoSlot(version, error.to_string()),
            }
        });
    }

    /// Looks at the program once more before it is started.
    fn check(&mut self, start: Box<Start>) {
        let (home, judge) = (self.options.home.clone(), self.judge());
        let (version, program) = (start.wanted.release.clone(), start.wanted.program);
        self.aside(async move {
            let checked = spawn_blocking(move || slot::program(&home, &version, program, &judge));
            Happening::Checked(start, checked.await)
        });
    }

    /// Starts a daemon. On the loop's own thread, which is the process's first: daemons that are to end
    /// with this process would end with any other thread.
    fn start(&mut self, start: Start, checked: std::io::Result<PathBuf>) {
        let now = self.clock.moment();
        let program = match checked {
            Ok(program) => program,
            Err(error) => {
                let version = start.wanted.release.clone();
                self.agent
                    .handle_ended(&start.name, start.berth, error.to_string(), now);
                return self.agent.handle_no_slot(&version, error.to_string(), now);
            }
        };
        let Options {
            home,
            launcher,
            together,
            ..
        } = &self.options;
        let notices = home.notices();
        let legacy = self.legacy(&start, &notices);
        let started = legacy.and_then(|legacy| {
            process::start(home, launcher, &program, (&start, legacy), *together)
        });
        let Start { name, berth, .. } = start;
        match started {
            Ok((process, child)) => {
                self.processes.insert((name.clone(), berth), process);
                self.agent.handle_started(&name, berth, now);
                self.watch(name, berth, process::ended(child));
            }
            Err(error) => self
                .agent
                .handle_ended(&name, berth, error.to_string(), now),
        }
    }

    /// What a process that is to be started gets from those before it.
    fn legacy<'a>(&'a self, start: &Start, notices: &'a Path) -> std::io::Result<Legacy<'a>> {
        let kept = self.sockets.get(&start.name).into_iter().flatten();
        let sockets = kept.map(|(name, socket)| Ok((name.as_str(), socket.try_clone()?)));
        let predecessor = start.predecessor.and_then(|berth| {
            let process = self.processes.get(&(start.name.clone(), berth))?;
            Some(process.pid)
        });
        Ok(Legacy {
            sockets: sockets.collect::<std::io::Result<_>>()?,
            notices,
            predecessor,
        })
    }

    /// A daemon's process said something of itself.
    fn told(&mut self, message: Message) {
        let whose = self
            .processes
            .iter()
            .find(|(_, process)| process.pid == message.pid);
        let Some((name, berth)) = whose.map(|((name, berth), _)| (name.clone(), *berth)) else {
            return;
        };
        let kept = self.sockets.entry(name.clone()).or_default();
        if let Some(forgotten) = message.forget {
            kept.remove(&forgotten);
        }
        if let Some((socket, descriptor)) = message.keep
            && kept.len() < KEPT_MAX
        {
            kept.insert(socket, descriptor);
        }
        let now = self.clock.moment();
        for notice in message.notices {
            self.agent.handle_notice(&name, berth, notice, now);
        }
    }

    fn tell(&self, name: DaemonName, berth: Berth, sign: Sign) {
        let signal = match sign {
            Sign::GiveUp => Signal::USR1,
            Sign::Relieved => Signal::USR2,
            Sign::Terminate => Signal::TERM,
            Sign::Kill => Signal::KILL,
        };
        if let Some(process) = self.processes.get(&(name, berth)) {
            process.signal(signal);
        }
    }

    fn signal_all(&self, signal: Signal) {
        let all = self.processes.values();
        all.for_each(|process| process.signal(signal));
    }

    fn call(&mut self, report: Report) {
        if let Some(before) = self.call.take() {
            before.abort();
        }
        let Some(controller) = self.options.controller.clone() else {
            return;
        };
        let wait = Duration::from_millis(report.wait_ms);
        let text = Signed::seal(report, &self.options.key).text().to_owned();
        let call = self.aside(async move {
            let (answer, ahead_s) = controller.report(text, wait).await;
            Happening::Answered(answer, ahead_s)
        });
        self.call = Some(call);
    }

    /// Ends all daemons: politely, and after the time of grace at once.
    async fn end_all(&mut self, heard: &mut mpsc::Receiver<Happening>) {
        self.signal_all(Signal::TERM);
        let ended = async {
            while !self.processes.is_empty() {
                match heard.recv().await {
                    Some(Happening::Ended(name, berth, _)) => {
                        drop(self.processes.remove(&(name, berth)));
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        drop(tokio::time::timeout(self.options.config.grace, ended).await);
        self.signal_all(Signal::KILL);
    }
}

/// The state is there and not to be had. What runs goes on without an agent.
fn no_state(reason: DamageReason) -> Failure {
    let advice = match reason {
        DamageReason::Content => {
            "a newer agent wrote it: start that one, or remove state.0 and state.1 to ask as a new node does"
        }
        DamageReason::Unreadable
        | DamageReason::Missing
        | DamageReason::Head
        | DamageReason::Digest => "look after the disk, and start the agent again",
    };
    Failure::failed(
        format!("the state cannot be used ({})", reason.as_str()),
        advice,
    )
}

/// Runs `work`, which waits for the disk, where that keeps nobody else waiting.
async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn say(event: &Event) {
    if event.is_trouble() {
        tracing::warn!("{event}");
    } else {
        tracing::info!("{event}");
    }
}
