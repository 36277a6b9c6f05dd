//! A subscriber that writes down all that it is told, and says whether it adds up.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A field as it came, with its type: console-subscriber reads some of one type alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    Signed(i64),
    Flag(bool),
    /// As `Debug` or `Display` write it.
    Written(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) BTreeMap<&'static str, Value>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn is(&self, name: &str, value: impl Into<Value>) -> bool {
        self.get(name) == Some(&value.into())
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Number(number)) => *number,
            other => panic!("{name} is to be a u64, and is {other:?}"),
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            other => panic!("{name} is to be a text, and is {other:?}"),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), Value::Written(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), Value::Signed(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    pub(crate) fields: Fields,
    /// It has no parent whatever is entered.
    pub(crate) is_root: bool,
    /// What was entered when it was made, the outermost first.
    pub(crate) inside: Vec<u64>,
    pub(crate) entered: usize,
    pub(crate) handles: usize,
    /// After how many events it closed.
    pub(crate) closed: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) target: &'static str,
    pub(crate) level: Level,
    pub(crate) fields: Fields,
    pub(crate) inside: Vec<u64>,
    pub(crate) thread: ThreadId,
}

/// All that was told.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) spans: Vec<Span>,
    pub(crate) events: Vec<Told>,
    entered: HashMap<ThreadId, Vec<u64>>,
    wrong: Vec<String>,
}

impl Records {
    fn span_mut(&mut self, id: &Id) -> &mut Span {
        let place = id.into_u64() as usize - 1;
        self.spans.get_mut(place).expect("a span that was made")
    }

    pub(crate) fn span(&self, id: u64) -> &Span {
        &self.spans[id as usize - 1]
    }

    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    pub(crate) fn at(&self, target: &str) -> impl Iterator<Item = &Told> {
        self.events.iter().filter(move |event| event.target == target)
    }

    pub(crate) fn task(&self, name: &str) -> &Span {
        let mut found = self.named("runtime.spawn").filter(|span| span.fields.is("task.name", name));
        let task = found.next().unwrap_or_else(|| panic!("a task called {name}"));
        assert!(found.next().is_none(), "one task called {name}");
        task
    }

    pub(crate) fn resources(&self, concrete_type: &str) -> Vec<&Span> {
        let resources = self.named("runtime.resource");
        resources.filter(|span| span.fields.is("concrete_type", concrete_type)).collect()
    }

    /// The operations that are made inside of a resource.
    pub(crate) fn operations_of(&self, resource: &Span) -> Vec<&Span> {
        let operations = self.named("runtime.resource.async_op");
        operations.filter(|span| span.inside.last() == Some(&resource.id)).collect()
    }

    /// What was done to the wakers of a task.
    pub(crate) fn wakers_of(&self, task: &Span) -> Vec<&str> {
        let own = self.at("runtime::waker").filter(|event| event.fields.is("task.id", task.id));
        own.map(|event| event.fields.text("op")).collect()
    }

    /// What an attribute has come to.
    pub(crate) fn sum(&self, resource: &Span, attribute: &str) -> u64 {
        let updates = self.at("runtime::resource::state_update");
        let own = updates.filter(|event| {
            event.inside.last() == Some(&resource.id)
                && event.fields.get(attribute).is_some()
                && event.fields.is(&format!("{attribute}.op"), "add")
        });
        own.map(|event| event.fields.number(attribute)).sum()
    }

    /// Each enter has its exit, in their order; all is closed; no task is inside of another.
    pub(crate) fn assert_balanced(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.entered.values().all(Vec::is_empty), "something is still entered: {:?}", self.entered);
        let open: Vec<_> = self.spans.iter().filter(|span| span.closed.is_none()).collect();
        assert!(open.is_empty(), "not closed: {open:#?}");
    }
}

/// Each clone writes into the same records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Records>>);

impl Recorder {
    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap()
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut records = self.records();
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (metadata, id) = (attributes.metadata(), records.spans.len() as u64 + 1);
        let inside = records.entered.get(&thread::current().id()).cloned().unwrap_or_default();
        records.spans.push(Span {
            id,
            name: metadata.name(),
            target: metadata.target(),
            level: *metadata.level(),
            fields,
            is_root: attributes.is_root(),
            inside,
            entered: 0,
            handles: 1,
            closed: None,
        });
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut records = self.records();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let thread = thread::current().id();
        let inside = records.entered.get(&thread).cloned().unwrap_or_default();
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        records.events.push(Told { target, level, fields, inside, thread });
    }

    fn enter(&self, id: &Id) {
        let mut records = self.records();
        let (name, thread) = (records.span_mut(id).name, thread::current().id());
        records.span_mut(id).entered += 1;
        let is_task = |id: &u64| records.span(*id).name == "runtime.spawn";
        if name == "runtime.spawn"
            && records.entered.get(&thread).is_some_and(|stack| stack.iter().any(is_task))
        {
            records.wrong.push(format!("task {id:?} was entered inside of another"));
        }
        records.entered.entry(thread).or_default().push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        let mut records = self.records();
        let last = records.entered.entry(thread::current().id()).or_default().pop();
        if last != Some(id.into_u64()) {
            records.wrong.push(format!("{id:?} was left, and {last:?} entered last"));
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.records().span_mut(id).handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut records = self.records();
        let events = records.events.len();
        let span = records.span_mut(&id);
        span.handles -= 1;
        let closes = span.handles == 0;
        if closes {
            span.closed = Some(events);
        }
        closes
    }
}
