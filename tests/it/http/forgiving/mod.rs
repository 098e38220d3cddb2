//! Origins that send it wrong: what is meant comes through, what is unclear is refused with its
//! reason, and nothing doubtful is kept.
//!
//! One proxy for all cases. Where there is an nginx, it is asked the same, and who forgives what is
//! printed as a table; it judges nothing here.

mod cases;
mod judge;

use harness::client::Answer;
use harness::cluster::Proxy;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::skip;

use self::cases::{Case, Want, cases};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_meant_comes_through_and_what_is_unclear_is_refused() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let nginx = judge::Nginx::before(&place, origin.addr).await;
    let mut table = String::new();
    let mut wrong = Vec::new();
    let cases = cases();
    let (mut forgiven, mut refused, mut nginx_forgives) = (0, 0, 0);
    for (n, case) in cases.iter().enumerate() {
        let path = format!("/{n}");
        let raw = case.raw.clone();
        origin.serves(&path, move |_| Reply::raw(raw.clone()));
        let answer = proxy.get(&origin.page(&path)).await;
        let asked = origin.count(&path);
        let again = proxy.get(&origin.page(&path)).await;
        let kept = origin.count(&path) == asked;
        let did = judge::verdict(&answer, kept);
        match case.want {
            Want::Refused(_) => refused += 1,
            _ => forgiven += 1,
        }
        for answer in [&answer, &again] {
            if let Err(why) = check(case, answer, kept, asked) {
                wrong.push(format!("{}: {why}; got {did}", case.name));
            }
        }
        let judged = match &nginx {
            Some(nginx) => nginx.judge(&path, case).await,
            None => judge::Judged::absent(),
        };
        nginx_forgives += usize::from(judged.forgives);
        table.push_str(&format!("{:<52} {did:<34} {}\n", case.name, judged.text));
    }
    skip::say(&format!(
        "{:<52} {:<34} nginx\n{table}{} cases: {forgiven} come through, {refused} refused; nginx lets \
         {nginx_forgives} through\n",
        "case",
        "atoll",
        cases.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Case, answer: &Answer, kept: bool, asked: usize) -> Result<(), String> {
    let same = |what: &str, want: &dyn std::fmt::Debug, got: bool| {
        got.then_some(())
            .ok_or(format!("{what} should be {want:?}"))
    };
    match &case.want {
        Want::Kept(status, body) | Want::Shown(status, body) => {
            same("status", status, answer.status == *status)?;
            same("body", body, answer.body == *body)?;
            same("a break", &None::<String>, answer.broken.is_none())?;
            same("origin requests", &1, asked == 1)?;
            let keeps = matches!(case.want, Want::Kept(..));
            same("kept", &keeps, kept == keeps)?;
            let framed = answer.headers.get_all("content-length").iter().count() <= 1;
            same("lengths", &"at most one", framed)
        }
        Want::Cut(body) => {
            same("a break", &"some", answer.broken.is_some())?;
            same("body", body, body.starts_with(&answer.body))?;
            same("kept", &false, !kept)
        }
        Want::Refused(reason) => {
            same("status", &502, answer.status == 502)?;
            let field = answer.field("proxy-status");
            same("reason", reason, field.contains(reason))?;
            same("kept", &false, !kept)
        }
    }
}
