//! Where things are kept when nobody says otherwise.

use std::path::{Path, PathBuf};

/// The folders that this user's files belong in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Configuration file.
    pub config: PathBuf,
    /// Database.
    pub store: PathBuf,
    /// Control socket.
    pub socket: PathBuf,
    /// Folder of logs.
    pub logs: PathBuf,
}

impl Places {
    /// The places of whoever runs this.
    pub fn of_this_user() -> Self {
        Self::of_user(atalaya_host::privileges::Privileges::own().user_id == 0)
    }

    /// The places of this user: the system's for root, the XDG folders otherwise.
    pub fn of_user(root: bool) -> Self {
        Self::from_environment(root, |name| std::env::var_os(name).map(PathBuf::from))
    }

    fn from_environment(root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if root {
            return Self {
                config: "/etc/atalaya/atalaya.toml".into(),
                store: "/var/lib/atalaya/atalaya.db".into(),
                socket: "/run/atalaya/control.sock".into(),
                logs: "/var/log/atalaya".into(),
            };
        }
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = absolute("HOME").unwrap_or_else(|| "/nonexistent".into());
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let data = absolute("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
        let state = absolute("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state"));
        let runtime = absolute("XDG_RUNTIME_DIR").unwrap_or_else(|| data.clone());
        Self {
            config: config.join("atalaya/atalaya.toml"),
            store: data.join("atalaya/atalaya.db"),
            socket: runtime.join("atalaya/control.sock"),
            logs: state.join("atalaya"),
        }
    }

    /// The control socket of the watcher that writes `store`: the usual one for the usual store, else beside it.
    pub fn socket_for(&self, store: Option<&Path>) -> PathBuf {
        match store {
            Some(store) if store != self.store => {
                let mut name = store.as_os_str().to_owned();
                name.push(".sock");
                name.into()
            }
            _ => self.socket.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_their_own_places() {
        let none = |_: &str| None;
        assert_eq!(
            Places::from_environment(true, none).store,
            Path::new("/var/lib/atalaya/atalaya.db")
        );
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/ana"));
        let places = Places::from_environment(false, home);
        assert_eq!(
            places.store,
            Path::new("/home/ana/.local/share/atalaya/atalaya.db")
        );
        assert_eq!(places.config, Path::new("/home/ana/.config/atalaya/atalaya.toml"));
        assert_eq!(
            places.socket_for(Some(Path::new("/tmp/x.db"))),
            Path::new("/tmp/x.db.sock")
        );
        assert_eq!(places.socket_for(Some(&places.store)), places.socket);
        let relative = |name: &str| (name != "HOME").then(|| PathBuf::from("relative"));
        assert_eq!(
            Places::from_environment(false, relative).socket,
            Path::new("/nonexistent/.local/share/atalaya/control.sock")
        );
    }
}
