//! The directory of a cluster: secret, certificate, state, sockets, logs, the demo's files.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use common::rng::Generator;
use common::shell::secret::{create, load};
use common::wire::secret::NetworkSecret;

use super::certificate;
use super::layout::{Plan, SOCKET_PATH_MAX, secret_file, site_dir};
use crate::demo::site;
use crate::outcome::Failure;

/// Room that paths below the directory need: `/node1000/index.sock`.
const PATH_ROOM: usize = 24;

/// The directory of a cluster.
#[derive(Debug)]
pub struct Home {
    /// Where it is.
    pub path: PathBuf,
    scratch: Option<tempfile::TempDir>,
}

impl Home {
    /// The directory `dir`, made if need be; a temporary one if not given.
    ///
    /// # Errors
    /// It cannot be made or used.
    pub fn new(dir: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = dir {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir);
            let path = made.and_then(|()| dir.canonicalize()).map_err(|error| {
                let what = format!("cannot use {}: {error}", dir.display());
                Failure::failed(what, "choose another --dir")
            })?;
            return match path.to_str() {
                Some(_) => Ok(Self {
                    path,
                    scratch: None,
                }),
                None => Err(Failure::usage(
                    "the directory's name is not UTF-8",
                    "choose another --dir",
                )),
            };
        }
        // Sockets need short paths, and some systems have long names for temporary directories.
        let temporary = std::env::temp_dir();
        let short =
            temporary.as_os_str().len() + "/atoll-XXXXXX".len() + PATH_ROOM < SOCKET_PATH_MAX;
        let parent = if short {
            temporary
        } else {
            PathBuf::from("/tmp")
        };
        let private = fs::Permissions::from_mode(0o700);
        let scratch = tempfile::Builder::new()
            .permissions(private)
            .prefix("atoll-")
            .tempdir_in(&parent);
        let scratch = scratch.map_err(|error| {
            let what = format!("cannot make a directory in {}: {error}", parent.display());
            Failure::failed(what, "name one with --dir")
        })?;
        Ok(Self {
            path: scratch.path().to_owned(),
            scratch: Some(scratch),
        })
    }

    /// Writes what the processes of `plan` need to find there.
    ///
    /// # Errors
    /// It cannot be written, or holds a secret that others can read.
    pub fn fill(&self, plan: &Plan) -> Result<(), Failure> {
        let failed = |what: String| Failure::failed(what, "choose another --dir");
        if plan.origin.is_some() {
            let dir = site_dir(&self.path);
            let written = fs::create_dir_all(&dir).and_then(|()| site::write(&dir));
            written.map_err(|error| failed(format!("cannot write {}: {error}", dir.display())))?;
        }
        let certified = certificate::write(&self.path, &plan.zone);
        certified.map_err(|error| failed(format!("cannot make a certificate: {error}")))?;
        let file = secret_file(&self.path);
        if file.exists() {
            // Of an earlier run in the same directory: its stores and peers belong to it.
            return load(&file)
                .map(drop)
                .map_err(|error| failed(error.to_string()));
        }
        let mut rng = Generator::from_system().map_err(|error| {
            Failure::failed(
                format!("the system gives no random bytes: {error}"),
                "try again",
            )
        })?;
        let secret = NetworkSecret::generate(&mut rng);
        create(&file, &secret).map_err(|error| failed(error.to_string()))
    }

    /// Whether it stays when the cluster ends.
    #[must_use]
    pub const fn stays(&self) -> bool {
        self.scratch.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use common::name::Zone;

    use super::super::binaries::Programs;
    use super::super::layout::{Wish, authority_file, certificate_file};
    use super::*;

    #[test]
    fn a_second_run_in_a_directory_keeps_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(Some(dir.path())).unwrap();
        let plan = Plan::of(&Wish {
            zone: Zone::parse("nyud.test").unwrap(),
            nodes: 1,
            dns: 0,
            origin_delay: Some(Duration::ZERO),
            base_port: 8080,
            allow_private: true,
            proxy_config: None,
            dir: home.path.clone(),
            programs: Programs::in_dir(Path::new("/bin"), Path::new("/bin/atoll")),
        })
        .unwrap();
        home.fill(&plan).unwrap();
        let first = fs::read(secret_file(&home.path)).unwrap();
        home.fill(&plan).unwrap();
        assert_eq!(fs::read(secret_file(&home.path)).unwrap(), first);
        let certificate = fs::read_to_string(certificate_file(&home.path)).unwrap();
        assert!(certificate.contains("PRIVATE KEY"));
        let mode = fs::metadata(certificate_file(&home.path)).unwrap().mode();
        assert_eq!(mode & 0o077, 0);
        let authority = fs::read_to_string(authority_file(&home.path)).unwrap();
        assert!(!authority.contains("PRIVATE KEY"));
        assert!(site_dir(&home.path).join("index.html").is_file());
        assert!(home.stays());
    }

    #[test]
    fn a_directory_of_its_own_is_private_and_goes_with_it() {
        let home = Home::new(None).unwrap();
        let path = home.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0);
        assert!(!home.stays());
        drop(home);
        assert!(!path.exists());
    }
}
