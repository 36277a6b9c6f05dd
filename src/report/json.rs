//! The report as JSON: which keys there are.

use super::{Fact, Operation, Report};
use crate::json::Object;

impl Report {
    /// The report as one object of JSON, on one line.
    ///
    /// `annulus` is the crate's version; `system`, `driver`, `refusal` and `standing` are text or null; `facts` is a list of
    /// objects with `topic`, `name`, `value`, `number`, `standing`, `costs` and `remedy`, and `operations` one with `name`,
    /// `form`, `standing` and `remedy`. Keys may be added.
    ///
    /// ```
    /// let json = annulus::report().to_json();
    /// assert!(json.starts_with("{\"annulus\":"));
    /// ```
    pub fn to_json(&self) -> String {
        let mut object = Object::new();
        object.text("annulus", Some(env!("CARGO_PKG_VERSION")));
        object.text("system", Some(&self.system));
        object.text("driver", self.driver());
        object.text("refusal", self.refusal());
        object.text("standing", Some(self.standing().name()));
        object.list("facts", self.facts.iter().map(fact));
        object.list("operations", self.operations.iter().map(operation));
        object.end()
    }
}

fn fact(fact: &Fact) -> String {
    let mut object = Object::new();
    object.text("topic", Some(fact.topic().name()));
    object.text("name", Some(fact.name()));
    object.text("value", Some(fact.value()));
    object.number("number", fact.number());
    object.text("standing", Some(fact.standing().name()));
    object.text("costs", fact.costs());
    object.text("remedy", fact.remedy());
    object.end()
}

fn operation(operation: &Operation) -> String {
    let mut object = Object::new();
    object.text("name", Some(operation.name()));
    object.text("form", Some(operation.form().name()));
    object.text("standing", Some(operation.standing().name()));
    object.text("remedy", operation.remedy());
    object.end()
}
