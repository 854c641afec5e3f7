//! EC2, API version 2016-11-15: network ACLs of database subnets, and whether they let anything pass.
//!
//! What this module must never do: change what a refused operation is about; let two entries of one number and direction stand.

mod messages;
mod world;

pub(crate) use world::{Entry, World};

use crate::clock::Clock;
use crate::past::Past;
use crate::query::{Form, Signature, invalid_action, invalid_value};
use crate::request::ApiRequest;
use crate::rights::Need;
use crate::service::{Operation, Refusal, Reply, Service, Turn};
use messages::{AclElement, DescribeAnswer, Done, Items, write_refusal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

const VERSION: &str = "2016-11-15";
const XMLNS: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// How many states can be read again; a stale read reaches no further back.
const REMEMBERED_STATES: usize = 128;
const SMALLEST_PAGE: u32 = 5;
const LARGEST_PAGE: u32 = 1000;

const DESCRIBE: Signature = Signature {
    name: "DescribeNetworkAcls",
    is_mutation: false,
    parameters: &["MaxResults", "NextToken", "NetworkAclId"],
};
const CREATE: Signature = Signature {
    name: "CreateNetworkAclEntry",
    is_mutation: true,
    parameters: &[
        "NetworkAclId",
        "RuleNumber",
        "Egress",
        "Protocol",
        "RuleAction",
        "CidrBlock",
        "Ipv6CidrBlock",
    ],
};
const DELETE: Signature = Signature {
    name: "DeleteNetworkAclEntry",
    is_mutation: true,
    parameters: &["NetworkAclId", "RuleNumber", "Egress"],
};

/// The network ACLs of every account and region.
pub(crate) struct Ec2 {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

struct State {
    world: World,
    past: Past<World>,
}

impl State {
    fn remember(&mut self, at: Instant) {
        self.past.remember(at, &self.world);
    }

    fn seen(&self, at: Instant) -> &World {
        self.past.seen(at).unwrap_or(&self.world)
    }
}

impl Ec2 {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        let past = Past::new(clock.started(), World::default(), REMEMBERED_STATES);
        Self { clock, state: Mutex::new(State { world: World::default(), past }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arranges something behind the API's back.
    pub(crate) fn arrange<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        let outcome = change(&mut state.world);
        state.remember(self.clock.now());
        outcome
    }

    /// Looks at what is, without a call.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock().world)
    }

    fn answer(&self, form: &Form, region: &str, turn: &Turn<'_>) -> Result<String, Refusal> {
        let signature = signature_of(form).ok_or_else(invalid_action)?;
        form.check(signature)?;
        let mut state = self.lock();
        let place = (turn.account, region);
        match signature.name {
            "DescribeNetworkAcls" => return describe(state.seen(turn.seen), form, place, turn),
            "CreateNetworkAclEntry" => {
                let entry = read_entry(form)?;
                state.world.create(place, form.require("NetworkAclId")?, entry)?;
            }
            _ => {
                let (number, egress) = (read_number(form)?, form.flag("Egress")?);
                state.world.delete(place, form.require("NetworkAclId")?, number, egress)?;
            }
        }
        state.remember(turn.now);
        Ok(messages::write(&format!("{}Response", signature.name), &Done::new(turn.request_id)))
    }
}

fn signature_of(form: &Form) -> Option<&'static Signature> {
    [&DESCRIBE, &CREATE, &DELETE].into_iter().find(|signature| signature.name == form.action())
}

fn describe(world: &World, form: &Form, place: (&str, &str), turn: &Turn<'_>) -> Result<String, Refusal> {
    let wanted = form.list("NetworkAclId");
    let all = world.list(place, &wanted)?;
    let size = form.number("MaxResults")?.unwrap_or(LARGEST_PAGE);
    if !(SMALLEST_PAGE..=LARGEST_PAGE).contains(&size) {
        return Err(invalid_value(&format!("Value ( {size} ) for parameter maxResults is invalid.")));
    }
    let start = match form.get("NextToken") {
        None => 0,
        Some(token) => {
            let start = token.strip_prefix("fake-token-").and_then(|number| number.parse().ok());
            start.ok_or_else(|| invalid_value("The token is invalid"))?
        }
    };
    let mut following = all.into_iter().skip(start);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let item: Vec<AclElement> = following.by_ref().take(size).map(AclElement::from).collect();
    let next_token = following.next().map(|_| format!("fake-token-{}", start.saturating_add(size)));
    let answer = DescribeAnswer::new(turn.request_id, Items { item }, next_token);
    Ok(messages::write("DescribeNetworkAclsResponse", &answer))
}

fn read_number(form: &Form) -> Result<u32, Refusal> {
    form.require("RuleNumber")?;
    let number = form.number("RuleNumber")?.filter(|number| (1..=32_766).contains(number));
    number.ok_or_else(|| invalid_value("Invalid value for ruleNumber: must be between 1 and 32766"))
}

fn read_entry(form: &Form) -> Result<Entry, Refusal> {
    let action = form.require("RuleAction")?;
    if !matches!(action, "allow" | "deny") {
        return Err(invalid_value(&format!("Invalid value {action} for ruleAction")));
    }
    let blocks = (form.get("CidrBlock"), form.get("Ipv6CidrBlock"));
    if blocks.0.is_some() == blocks.1.is_some() {
        let message = "Exactly one of cidrBlock and ipv6CidrBlock is needed";
        return Err(Refusal::new(400, "InvalidParameterCombination", message.to_owned()));
    }
    form.require("Egress")?;
    Ok(Entry {
        number: read_number(form)?,
        egress: form.flag("Egress")?,
        protocol: form.require("Protocol")?.to_owned(),
        action: action.to_owned(),
        cidr_block: blocks.0.map(str::to_owned),
        ipv6_cidr_block: blocks.1.map(str::to_owned),
    })
}

impl Service for Ec2 {
    fn operation(&self, request: &ApiRequest) -> Option<Operation> {
        let form = Form::read(request, VERSION)?;
        signature_of(&form).map(Signature::operation)
    }

    fn carry_out(&self, request: &ApiRequest, turn: &Turn<'_>) -> Result<Reply, Refusal> {
        let form = Form::read(request, VERSION).ok_or_else(invalid_action)?;
        Ok(Reply::ok(self.answer(&form, &request.scope.region, turn)?))
    }

    fn needs(&self, request: &ApiRequest, account: &str) -> Vec<Need> {
        let Some(form) = Form::read(request, VERSION) else { return Vec::new() };
        let Some(signature) = signature_of(&form) else { return Vec::new() };
        // The list takes no resource.
        let arn = |id| format!("arn:aws:ec2:{}:{account}:network-acl/{id}", request.scope.region);
        let resource = form.get("NetworkAclId").filter(|_| signature.is_mutation).map_or("*".to_owned(), arn);
        vec![Need::new(format!("ec2:{}", signature.name), vec![resource])]
    }

    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply {
        Reply::new(refusal.status, write_refusal(refusal, request_id))
    }
}
