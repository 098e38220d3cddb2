//! `nearness`: how close to the best proxy name servers bring clients.
//!
//! Clients, proxies and name servers sit at the sites of a measured matrix. Clients come and go for
//! an hour; proxies measure those they happen to be sent ([`proxy::engine::distances`]) and tell the
//! index; name servers learn from it ([`dns::engine::near`]) and draw ([`dns::engine::answer`]). All three
//! are the real engines in virtual time. The index between them is modelled, not run: it keeps the
//! hints of a network and names the nearest hinted proxies and their clusters, as `nodes(near)` does.
//!
//! Then every client asks, and what its answer costs it is set beside the best proxy there is, beside
//! answers that know nothing of the client, and beside chance.

mod index;
mod outcome;
pub(crate) mod page;
mod world;

use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use self::outcome::Outcome;
use self::world::World;
use crate::cli::Options;
use crate::matrix::Matrix;
use crate::report::Report;

/// What it is called among the scenarios.
pub(crate) const NAME: &str = "nearness";

/// What happens, in a sentence.
pub(crate) const WHAT: &str =
    "name servers learn from proxies where clients are, and send them to near ones";

/// Proxies, unless so many are asked for.
pub(crate) const PROXIES: usize = 100;

/// Virtual seconds that clients come before anything is judged.
const SECONDS: u64 = 3_600;

/// Answers of which a client's mean is taken.
const DRAWS: usize = 20;

/// The target: milliseconds of median extra round trip over the best proxy.
const EXTRA_MOST: f64 = 10.0;

/// Runs it.
///
/// # Errors
/// The matrix cannot be read.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let matrix = Matrix::open(&options.matrix)?;
    let seconds = options.seconds.unwrap_or(SECONDS);
    let proxies = options.nodes.unwrap_or(PROXIES).clamp(1, matrix.sites());
    let mut world = World::new(matrix, proxies, Generator::from_seed(options.seed));
    let mut report = Report {
        scenario: format!(
            "{NAME}, {} clients, {proxies} proxies, seed {}, {}",
            world.clients(),
            options.seed,
            options.matrix
        ),
        nodes: proxies,
        command: format!(
            "cargo run --release -p atoll-tests --bin sim -- {NAME} --nodes {proxies} --seed {} --matrix {} \
             --seconds {seconds}",
            options.seed, options.matrix
        ),
        ..Report::default()
    };
    let end = Moment::ZERO + Duration::from_secs(seconds);
    while world.now < end {
        world.second();
    }
    let outcome = Outcome::of(&mut world, DRAWS);
    outcome.tell(&mut report, EXTRA_MOST);
    world.count(&mut report);
    report.cost.virtual_seconds = world.now.since(Moment::ZERO).as_secs_f64();
    Ok(report)
}
