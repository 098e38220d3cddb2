//! The request that a page's URL becomes: host and target as a browser would send them.

use common::name::Zone;

use super::url;
use crate::outcome::Failure;

/// Host and target of a coralised URL.
pub(super) fn parts(page: &str, zone: &Zone) -> Result<(String, String), Failure> {
    let no_form = |why: String| Failure::usage(format!("{page} has no coralised form"), why);
    // What is coralised already is taken back to its own site first.
    let own = super::index::key::parse(page, zone)?.url;
    let own = own.ok_or_else(|| no_form("give a URL".to_owned()))?;
    let forms = url::forms(&own, zone, None).map_err(|error| no_form(error.to_string()))?;
    let form = forms.dotted.or(forms.label);
    let form = form.ok_or_else(|| no_form(forms.notes.join("; ")))?;
    let rest = form.split_once("://").map_or(&*form, |(_, rest)| rest);
    Ok(match rest.split_once('/') {
        Some((host, target)) => (host.to_owned(), format!("/{target}")),
        None => (rest.to_owned(), "/".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_the_request_that_a_browser_would_send() {
        let zone = Zone::parse("nyud.test").unwrap();
        for (page, host, target) in [
            (
                "http://www.example.com/x?y",
                "www.example.com.nyud.test",
                "/x?y",
            ),
            (
                "http://www.example.com:8000",
                "www.example.com.8000.nyud.test",
                "/",
            ),
            (
                "http://www.example.com.nyud.test/x",
                "www.example.com.nyud.test",
                "/x",
            ),
        ] {
            assert_eq!(
                parts(page, &zone).unwrap(),
                (host.to_owned(), target.to_owned())
            );
        }
    }
}
