//! The handle that tests hold.

use crate::calls::Call;
use crate::dns::{Answering, NameServers, Transport};
use crate::faults::{Fault, FaultId};
use crate::http;
use crate::name::DomainName;
use crate::rds;
use crate::route53::{BatchErrorForm, FailoverRecord, ObjectCheck, answer_question};
use crate::shared::Shared;
use jiff::Timestamp;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many name servers a zone has, as a delegation set of Route 53 does.
const NAME_SERVERS_OF_A_ZONE: usize = 4;

/// A fake of AWS. Clones are handles of the same one, and its servers end when the last is dropped.
///
/// # Panics
/// When the last one is dropped, if anything was not as the models of AWS' APIs have it ([`Self::take_breaches`]).
#[derive(Clone)]
pub struct FakeAws {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    name_servers: NameServers,
    address: SocketAddr,
    /// Ends the tasks.
    _end: DropGuard,
    /// Whether the last handle passes over breaches.
    is_lenient: AtomicBool,
}

impl Drop for Inner {
    #[allow(clippy::print_stderr)] // a test's output
    fn drop(&mut self) {
        let breaches = self.shared.take_breaches();
        if breaches.is_empty() || self.is_lenient.load(Ordering::Relaxed) {
            return;
        }
        let told = format!("not as the models of AWS' APIs have it: {breaches:#?}");
        // Beside another panic it may well say why, and must not end the process.
        assert!(std::thread::panicking(), "{told}");
        eprintln!("{told}");
    }
}

/// A hosted zone, with the name servers that answer for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// As Route 53 writes it without the prefix: `Z` and 13 upper-case letters and digits.
    pub id: String,
    /// Each answers by UDP and by TCP; four of them.
    pub servers: Vec<SocketAddr>,
}

impl FakeAws {
    /// Starts the endpoint on a free port of 127.0.0.1, inside of a tokio runtime.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ended = CancellationToken::new();
        let shared = Arc::new(Shared::new(ended.clone()));
        let name_servers = NameServers::new(ended.clone());
        tokio::spawn(http::serve(listener, Arc::clone(&shared)));
        tokio::spawn(rds::keep_up(Arc::clone(&shared.rds), ended.clone()));
        let is_lenient = AtomicBool::new(false);
        let inner = Inner { shared, name_servers, address, _end: ended.drop_guard(), is_lenient };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What was carried out, answered or refused otherwise than the models of AWS' APIs have it since this was last asked,
    /// one line each: service, operation, place. What a fault does is none of it.
    pub fn take_breaches(&self) -> Vec<String> {
        self.inner.shared.take_breaches()
    }

    /// From now on the last handle passes over what [`Self::take_breaches`] would tell: for who asks for it, and for a
    /// program whose user could do nothing about it.
    pub fn set_lenient(&self) {
        self.inner.is_lenient.store(true, Ordering::Relaxed);
    }

    /// Where an SDK sends the requests to every service: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// From now on requests that this access key signs are of this account.
    pub fn add_account(&self, access_key: &str, account: &str) {
        self.inner.shared.accounts.add(access_key, account);
    }

    /// From now on `AssumeRole` answers credentials of the role's account to callers from the trusted account, who
    /// have to name the external id if there is one. A role that was added before is replaced. The credentials are
    /// said to expire by the fake's calendar (see `set_date`), and are never refused for their age.
    ///
    /// # Panics
    /// If `arn` is not that of a role: `arn:aws:iam::222222222222:role/muster`.
    pub fn add_role(&self, arn: &str, external_id: Option<&str>, trusted_account: &str) {
        let added = self.inner.shared.sts.add_role(arn, external_id, trusted_account);
        added.expect("a role is added by its ARN");
    }

    /// From now on a role, or the holder of an access key, may do what this document of IAM allows, and nothing else. One that
    /// was attached before is replaced. What it does not allow is refused, and told by [`Self::take_missing_rights`].
    ///
    /// # Errors
    /// If the document says something that the fake would not go by.
    pub fn attach_policy(&self, principal: &str, document: &str) -> Result<(), serde_json::Error> {
        self.inner.shared.accounts.attach(principal, serde_json::from_str(document)?);
        Ok(())
    }

    /// What was asked for and not allowed since this was last asked, as `rds:PromoteReadReplica on ARN`, each once.
    pub fn take_missing_rights(&self) -> Vec<String> {
        self.inner.shared.accounts.take_missing()
    }

    /// Creates a public hosted zone with its SOA and NS records, and starts its four name servers. A batch of
    /// changes is in sync, and visible in DNS, `insync_after` after it was accepted.
    pub async fn create_zone(&self, account: &str, name: &str, insync_after: Duration) -> io::Result<Zone> {
        let no_name =
            || io::Error::new(io::ErrorKind::InvalidInput, "failed to read the domain name of a zone");
        let name = DomainName::parse(name).ok_or_else(no_name)?;
        let id = self.inner.shared.route53.create_zone(account, name, insync_after);
        let answering = self.answering_for(&id);
        let mut servers = Vec::with_capacity(NAME_SERVERS_OF_A_ZONE);
        for _ in 0..NAME_SERVERS_OF_A_ZONE {
            servers.push(self.inner.name_servers.start(Arc::clone(&answering)).await?);
        }
        Ok(Zone { id, servers })
    }

    /// Starts one more name server of a zone, by UDP and by TCP, at this address of this machine.
    pub async fn add_server(&self, zone: &Zone, address: SocketAddr) -> io::Result<()> {
        self.inner.name_servers.start_at(address, self.answering_for(&zone.id)).await
    }

    fn answering_for(&self, zone: &str) -> Answering {
        let (route53, zone) = (Arc::clone(&self.inner.shared.route53), zone.to_owned());
        Arc::new(move |question: &[u8], transport: Transport| {
            answer_question(question, &route53.view(&zone)?, transport)
        })
    }

    /// Writes a simple record set behind the API's back, as a person does in the console: it is listed, and visible
    /// in DNS, at once. Values are not checked; one that is none of its type is not answered in DNS.
    ///
    /// # Panics
    /// If there is no such zone, or `name` is no domain name.
    pub fn put_record(&self, zone: &str, name: &str, kind: &str, ttl: u32, values: &[&str]) {
        let name = DomainName::parse(name).expect("a record is put at a domain name");
        let put = self.inner.shared.route53.put(zone, name, kind, ttl, values);
        put.expect("a record is put into a zone that was created");
    }

    /// Writes one of the two failover records of a name behind the API's back, as `put_record` does; the other one stays.
    ///
    /// # Panics
    /// If there is no such zone, or `record` has no domain name.
    pub fn put_failover_record(&self, zone: &str, record: &FailoverRecord<'_>) {
        let put = self.inner.shared.route53.put_failover(zone, record);
        put.expect("a record is put at a domain name, into a zone that was created");
    }

    /// The value of a name's PRIMARY record as the API lists it: what is answered when every health check is well.
    ///
    /// # Panics
    /// If `name` is no domain name.
    pub fn primary_value(&self, zone: &str, name: &str) -> Option<String> {
        let name = DomainName::parse(name).expect("a record is looked for at a domain name");
        self.inner.shared.route53.primary_value(zone, &name)
    }

    /// Removes the record sets of this name and type behind the API's back, at once.
    ///
    /// # Panics
    /// If there is no such zone, or `name` is no domain name.
    pub fn remove_record(&self, zone: &str, name: &str, kind: &str) {
        let name = DomainName::parse(name).expect("a record is removed from a domain name");
        let removed = self.inner.shared.route53.remove(zone, &name, kind);
        removed.expect("a record is removed from a zone that was created");
    }

    /// Chooses the form of `InvalidChangeBatch` errors.
    pub fn set_batch_error_form(&self, form: BatchErrorForm) {
        self.inner.shared.route53.set_batch_error_form(form);
    }

    /// From now on a PRIMARY set of a failover pair may be written without a health check, **which Route 53 refuses**
    /// (kubernetes-sigs/external-dns#2362). Only for what does not keep to that rule yet.
    pub fn allow_primaries_without_check(&self) {
        self.inner.shared.route53.allow_primaries_without_check();
    }

    /// What was called since the start, or since it was last cleared, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.shared.calls.list()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.inner.shared.calls.clear();
    }

    /// Makes something go wrong with the calls that match, from now on, until it is removed or used up. Several
    /// faults strike in the order in which they were added: delays add up, and the first that ends the call wins.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.inner.shared.faults.add(fault)
    }

    /// Removes one fault; calls that it has struck already stay as they are.
    pub fn remove_fault(&self, id: FaultId) {
        self.inner.shared.faults.remove(id);
    }

    /// How many calls a fault has met, whether it still stands or not.
    pub fn times_met(&self, id: FaultId) -> usize {
        self.inner.shared.faults.times_met(id)
    }

    /// Removes every fault; calls that were struck already stay as they are.
    pub fn clear_faults(&self) {
        self.inner.shared.faults.clear();
    }

    /// Lets this much time pass for the services at once: batches become visible, and states grow old. Delays of
    /// faults, which pass for the client too, are not shortened.
    pub fn skip(&self, time: Duration) {
        self.inner.shared.clock.skip(time);
    }

    /// Makes the calendar of the services show this date now, and go on from there. It starts at 2026-01-01, which
    /// is long ago for a client that compares dates with its own, as the SDK does with credentials.
    pub fn set_date(&self, date: Timestamp) {
        self.inner.shared.clock.set_date(date);
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Stops a name server: it answers nothing from now on, and its port is closed soon after.
    pub fn stop_server(&self, address: SocketAddr) {
        self.inner.name_servers.stop(address);
    }

    /// Starts a name server again on its port.
    pub async fn start_server(&self, address: SocketAddr) -> io::Result<()> {
        self.inner.name_servers.restart(address).await
    }
}

/// Buckets of S3.
impl FakeAws {
    /// Creates an empty bucket of this account in this region.
    ///
    /// # Panics
    /// If there is one of this name.
    pub fn create_bucket(&self, account: &str, name: &str, region: &str) {
        let created = self.inner.shared.s3.create_bucket(account, name, region);
        created.expect("a bucket has a name of its own");
    }

    /// Lets everybody read what stands under this key, or will; what is not there is denied to strangers all the same.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn allow_anonymous_read(&self, bucket: &str, key: &str) {
        let allowed = self.inner.shared.s3.allow_anonymous_read(bucket, key);
        allowed.expect("a key is made public in a bucket that was created");
    }

    /// Lets strangers read it no more, the checkers among them.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn deny_anonymous_read(&self, bucket: &str, key: &str) {
        let denied = self.inner.shared.s3.deny_anonymous_read(bucket, key);
        denied.expect("a key is hidden in a bucket that was created");
    }

    /// From now on no policy of this account's buckets may be public, as the account's own block of public access has it.
    pub fn block_public_policies(&self, account: &str) {
        self.inner.shared.s3.block_public_policies(account);
    }
}

/// Health checks of Route 53.
impl FakeAws {
    /// Chooses how many checkers the health checks have that are created from now on: 6 at first, and never none. The
    /// first of each asks from 127.53.0.1, the second from 127.53.0.2, and so on (on Linux).
    pub fn set_checkers(&self, count: usize) {
        self.inner.shared.route53.health.set_checkers(count);
    }

    /// Lets every checker wait this long between two questions, whatever its health check says.
    pub fn set_checker_pace(&self, interval: Duration) {
        self.inner.shared.route53.health.set_pace(interval);
    }

    /// From now on the S3 of this region does not answer the checkers; everybody else still reaches it.
    pub fn cut_checkers_from(&self, region: &str) {
        self.inner.shared.route53.health.cut_from(region);
    }

    /// From now on the S3 of this region answers the checkers again.
    pub fn heal_checkers(&self, region: &str) {
        self.inner.shared.route53.health.heal(region);
    }

    /// Creates an inverted health check that is well as long as an object of S3 is not there or lacks `text`, and returns
    /// its id: every checker asks as often as the API allows, and counts one answer.
    ///
    /// # Panics
    /// If the service would refuse it.
    pub fn create_object_check(&self, account: &str, object: &ObjectCheck<'_>) -> String {
        let created = self.inner.shared.route53.health.create_object_check(account, object);
        created.expect("a health check is created that the service takes")
    }

    /// The same, where every checker asks as rarely as the API allows, every 30 s, and counts ten answers.
    ///
    /// # Panics
    /// If the service would refuse it.
    pub fn create_slow_object_check(&self, account: &str, object: &ObjectCheck<'_>) -> String {
        let created = self.inner.shared.route53.health.create_slow_object_check(account, object);
        created.expect("a health check is created that the service takes")
    }

    /// Creates a health check that is disabled, and so always healthy; the same one for the same reference.
    ///
    /// # Panics
    /// If the service would refuse it.
    pub fn create_disabled_check(&self, account: &str, reference: &str) -> String {
        let created = self.inner.shared.route53.health.create_disabled_check(account, reference);
        created.expect("a health check is created that the service takes")
    }

    /// Deletes a health check behind the API's back. Its reference can never be used again.
    ///
    /// # Panics
    /// If the account has no such health check.
    pub fn delete_check(&self, account: &str, check_id: &str) {
        let deleted = self.inner.shared.route53.health.delete(account, check_id);
        deleted.expect("a health check is deleted that exists");
    }

    /// What the name servers go by now.
    ///
    /// # Panics
    /// If there is no such health check.
    pub fn health(&self, check_id: &str) -> bool {
        let health = self.inner.shared.route53.health.is_healthy(check_id);
        health.expect("a health check is asked for that exists")
    }
}
