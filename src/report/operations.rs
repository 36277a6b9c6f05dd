//! How each operation is done: by the ring, or in its other form.

use super::Standing;
use crate::driver::{RingFacts, Wait};
use crate::op;
use crate::runtime::Builder;

/// How an operation is done.
///
/// # Examples
/// As [`Report`](super::Report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationForm {
    /// By an entry of the ring.
    Ring,
    /// By a system call, tried again when its descriptor is ready.
    Call,
    /// By a helper thread.
    Helper,
    /// By a simulated world.
    World,
}

impl OperationForm {
    /// Its name, in lower case.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn name(self) -> &'static str {
        match self {
            OperationForm::Ring => "ring",
            OperationForm::Call => "call",
            OperationForm::Helper => "helper",
            OperationForm::World => "world",
        }
    }
}

/// One operation, and how it is done.
///
/// # Examples
/// As [`Report`](super::Report).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    name: &'static str,
    form: OperationForm,
    remedy: Option<String>,
}

impl Operation {
    /// Its name, as [`Builder::without_operation`](crate::Builder::without_operation) takes it.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn name(&self) -> &str {
        self.name
    }

    /// How it is done.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn form(&self) -> OperationForm {
        self.form
    }

    /// What would have the ring do it, where a ring serves and this kernel's does not know it.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// How good that is.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn standing(&self) -> Standing {
        if self.remedy.is_some() { Standing::Fair } else { Standing::Good }
    }
}

/// Which Linux has it on the ring, of what is newer than the ring that annulus wants.
const SINCE: &[(&str, &[&str])] = &[
    ("5.15", &["linkat", "mkdirat", "symlinkat"]),
    (
        "5.19",
        &[
            "accept_often",
            "fgetxattr",
            "fsetxattr",
            "getxattr",
            "setxattr",
            "socket",
            "read_lease",
            "recv_lease",
        ],
    ),
    ("6.0", &["recv_message_often", "recv_often", "send_zc"]),
    ("6.1", &["sendmsg_zc"]),
    ("6.9", &["ftruncate"]),
    ("6.16", &["pipe"]),
];

/// All of them, on a loop with that driver.
pub(super) fn of(driver: Option<&str>, ring: Option<&RingFacts>, builder: &Builder) -> Vec<Operation> {
    let ring = ring.filter(|_| driver == Some("uring"));
    let each = op::forms().map(|form| {
        let knows = ring.zip(form.code()).map(|(ring, code)| (ring.known[usize::from(code)], code));
        let (done, remedy) = match (knows, form.wait) {
            _ if driver == Some("sim") => (OperationForm::World, None),
            (Some((true, _)), _) => (OperationForm::Ring, None),
            (Some((false, code)), wait) => {
                (otherwise(wait), Some(remedy(form.name, builder.does_without(code))))
            }
            (None, wait) => (otherwise(wait), None),
        };
        Operation { name: form.name, form: done, remedy }
    });
    each.collect()
}

fn otherwise(wait: Wait) -> OperationForm {
    if wait == Wait::Helper { OperationForm::Helper } else { OperationForm::Call }
}

fn remedy(name: &str, is_masked: bool) -> String {
    if is_masked {
        return "the program asks for that: leave out Builder::without_operation".to_owned();
    }
    match SINCE.iter().find(|(_, names)| names.contains(&name)) {
        Some((since, _)) => format!("a newer kernel: Linux {since} has it"),
        None => "a newer kernel".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::SINCE;
    use crate::op;

    #[test]
    fn what_came_later_is_called_by_names_that_there_are() {
        let names = op::names();
        for name in SINCE.iter().flat_map(|(_, names)| names.iter()) {
            assert!(names.contains(name), "{name}");
        }
    }
}
