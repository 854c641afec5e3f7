//! The controller and the vantages, started by their command lines as a user would.

use super::addresses::{Kind, Place};
use super::cloud::Cloud;
use super::folders;
use super::http::{Call, send};
use super::processes::Launch;
use super::site::START;
use super::world::World;
use anyhow::bail;
use std::net::SocketAddr;
use std::time::Duration;

impl World {
    /// Starts a controller under this process name and waits until its API answers.
    pub async fn start_controller(&self, name: &str) -> anyhow::Result<()> {
        self.start_controller_with(name, &[]).await
    }

    /// The same with further flags, for example those that end it at a point.
    pub async fn start_controller_with(&self, name: &str, flags: &[String]) -> anyhow::Result<()> {
        let listen = self.api();
        let paths =
            [self.policies("controller"), self.state(), self.secrets()].map(|p| p.display().to_string());
        let [policies, state, secrets] = paths;
        folders::make_private(&self.state(), None)?;
        let args = [
            "local",
            "--policies",
            &policies,
            "--state",
            &state,
            "--secrets",
            &secrets,
            "--listen",
            &listen.to_string(),
            "--name",
            name,
        ]
        .map(str::to_owned);
        self.site.processes.spawn(&Launch {
            name: name.to_owned(),
            region: None,
            program: self.site.binary.clone(),
            args: args.into_iter().chain(flags.iter().cloned()).collect(),
            folder: self.site.dir.clone(),
            identity: None,
            log: self.controller_log(),
            environment: self.cloud().map(Cloud::environment).unwrap_or_default(),
        })?;
        let deadline = tokio::time::Instant::now() + START;
        while send(listen, &Call::get("/"), Duration::from_secs(1)).await.is_err() {
            let log = std::fs::read_to_string(self.controller_log()).unwrap_or_default();
            let last = log.lines().last().unwrap_or("nothing").to_owned();
            if !self.site.processes.is_running(name) {
                bail!("the controller ended; it said: {last}");
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("the controller does not answer at {listen}; it said: {last}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts the two vantages.
    pub fn start_vantages(&self) -> anyhow::Result<()> {
        self.start_vantages_of(&[])
    }

    /// Starts the two vantages, which report to further controllers too.
    pub fn start_vantages_of(&self, further: &[SocketAddr]) -> anyhow::Result<()> {
        for number in [1_u8, 2] {
            let name = format!("v{number}");
            let controller =
                self.site.addresses.path(&Place::Vantage(number), &Place::Controller, Kind::Control);
            let policies = self.policies(&name).display().to_string();
            let (secrets, url) = (self.secrets().display().to_string(), format!("http://{controller}"));
            let args = [
                "vantage",
                "--name",
                &name,
                "--policies",
                &policies,
                "--secrets",
                &secrets,
                "--controller",
                &url,
            ];
            let further = further.iter().map(|address| format!("--controller=http://{address}"));
            self.site.processes.spawn(&Launch {
                name: name.clone(),
                region: None,
                program: self.site.binary.clone(),
                args: args.map(str::to_owned).into_iter().chain(further).collect(),
                folder: self.site.dir.clone(),
                identity: None,
                log: self.site.dir.join(&name).join("vantage.log"),
                environment: Vec::new(),
            })?;
        }
        Ok(())
    }
}
