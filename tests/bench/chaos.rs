//! The proxy killed at random moments under load, and what is on its disk then.

use harness::crash;
use harness::place::Place;

use super::say;

/// Arguments of `bench chaos`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChaosArgs {
    /// Deaths
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    kills: usize,
    /// When they come, and who asks for what
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The disk that it has: all pages take 24 MiB
    #[arg(long, value_name = "SIZE", default_value = "48MiB")]
    disk: String,
}

/// Kills, looks and prints.
pub(crate) fn run(args: &ChaosArgs) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(Box::pin(async {
        let place = Place::alone().await;
        let found = crash::kill(&place, args.kills, args.seed, &args.disk).await;
        say(&format!(
            "{} deaths: of what was looked at afterwards {} whole, {} absent, {} wrong; \
             under load {} whole, {} wrong\n",
            found.kills, found.whole, found.absent, found.wrong, found.served, found.served_wrong
        ));
        assert_eq!((found.wrong, found.served_wrong), (0, 0));
    }));
}
