//! Which certificate is shown, and what becomes of one that changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use harness::binaries::Program;
use harness::exec;
use harness::origin::ZONE;
use harness::wait::{self, SOON};
use rustix::process::Signal;

use super::Rig;

/// The subject of what is shown to one who asks for `name`.
async fn subject(rig: &Rig, name: Option<&str>) -> Option<String> {
    let mut args = vec!["-brief"];
    match name {
        Some(name) => args.extend(["-servername", name]),
        None => args.push("-noservername"),
    }
    let ran = rig.s_client(&args, "").await?;
    let all = format!("{}{}", ran.out, ran.err);
    let line = all
        .lines()
        .find_map(|line| line.strip_prefix("Peer certificate: "));
    Some(line.unwrap_or(&all).replace("CN = ", ""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_asked_for_chooses_and_a_change_of_files_is_taken_over() {
    let rig = Rig::start(&[]).await;
    let status = format!("status.{ZONE}");
    let (zone, dir) = (format!("*.{ZONE}"), &rig.certificates);
    let Some(shown) = subject(&rig, Some("example-com.nyud.test")).await else {
        return;
    };
    assert_eq!(shown, zone);
    // One more, for a name that the wildcard covered so far.
    rig.authority.certify(&[&status]).write(dir, "status");
    let until = async |name: Option<&str>, want: &str| {
        let what = format!("{name:?} is shown {want}");
        wait::until(&what, SOON, async || {
            subject(&rig, name).await.as_deref() == Some(want)
        })
        .await;
    };
    until(Some(&status), &status).await;
    assert_eq!(subject(&rig, Some("www.nyud.test")).await.unwrap(), zone);
    // The first by name of file stands in for names that nobody knows, and for none.
    assert_eq!(subject(&rig, None).await.unwrap(), status);
    assert_eq!(subject(&rig, Some("else.where")).await.unwrap(), status);

    let failures = r#"atoll_proxy_reload_failures_total{what="certificates"}"#;
    assert_eq!(rig.proxy.metric(failures).await, 0);
    fs::write(dir.join("status.crt"), "not a certificate").unwrap();
    wait::until("it is said to be bad", SOON, async || {
        rig.proxy.metric(failures).await == 1
    })
    .await;
    assert!(
        rig.proxy
            .daemon
            .log()
            .contains("the last good one stays in force")
    );
    assert_eq!(subject(&rig, Some(&status)).await.unwrap(), status);

    // Told by signal, where the files look the same.
    rig.proxy.daemon.signal(Signal::HUP);
    wait::until("it is said again", SOON, async || {
        rig.proxy.metric(failures).await == 2
    })
    .await;
    let other = format!("other.{ZONE}");
    rig.authority.certify(&[&other]).write(dir, "status");
    until(Some(&other), &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_others_can_read_is_not_used() {
    let rig = Rig::start(&[]).await;
    let key = rig.certificates.join("zone.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let certificates = format!("https.certificates={}", rig.certificates.display());
    let args = ["zone=nyud.test", "https.listen=127.0.0.1:0", &certificates];
    let args: Vec<&str> = args.iter().flat_map(|set| ["--set", set]).collect();
    let ran = exec::run_ours(Program::Proxy, &args).await;
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("chmod 600"), "{}", ran.err);
}
