//! A file system of a test's own, in memory: small enough to be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::{exec, skip};

/// A mounted file system; gone with this.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// One of `mib` MiB in the place's directory `name`, or nothing where that takes privileges we lack.
    pub async fn new(place: &Place, name: &str, mib: u32) -> Option<Self> {
        if !exec::is_root() {
            skip::loudly("a file system of its own takes root");
            return None;
        }
        let at = place.file(name);
        fs::create_dir(&at).unwrap();
        let mount = exec::find("mount").unwrap();
        let mut command = exec::command(mount);
        command
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"])
            .arg(&at);
        let ran = exec::run(&mut command).await;
        if ran.code != Some(0) {
            skip::loudly(&format!("no file system of its own: {}", ran.err.trim()));
            return None;
        }
        Some(Self(at))
    }

    /// Mounts it again, `rw` or `ro`.
    pub async fn remount(&self, how: &str) {
        let mut command = exec::command(exec::find("mount").unwrap());
        command.args(["-o", &format!("remount,{how}")]).arg(&self.0);
        let _ = exec::run(&mut command).await.ok();
    }

    /// Somebody writes to a file there until there is no room for another byte.
    pub fn fill(&self) {
        let hog = File::options().create(true).append(true).open(self.hog());
        let mut hog = hog.unwrap();
        let piece = vec![1; 1 << 20];
        while hog.write_all(&piece).is_ok() {}
        while hog.write_all(&[1; 16]).is_ok() {}
    }

    /// That file is gone.
    pub fn make_room(&self) {
        fs::remove_file(self.hog()).unwrap();
    }

    fn hog(&self) -> PathBuf {
        self.0.join("hog")
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut command = std::process::Command::new("umount");
        let _ = command.arg("-l").arg(&self.0).status();
    }
}
