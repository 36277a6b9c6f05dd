//! What is asked of a snapshot: which tasks, in which order, how many.

use std::borrow::Cow;

use crate::executor::State;

/// How many rows are given unless it is said.
const LIMIT: usize = 200;
/// How many rows are given at most. What is much of that is for two at a time: see `routes`.
const LIMIT_MAX: usize = 100_000;

/// By what tasks are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Id,
    Name,
    SpawnedAt,
    State,
    Polls,
    Busy,
    Age,
    Waiting,
}

const SORTS: [(&str, Sort); 8] = [
    ("id", Sort::Id),
    ("name", Sort::Name),
    ("spawned_at", Sort::SpawnedAt),
    ("state", Sort::State),
    ("polls", Sort::Polls),
    ("busy", Sort::Busy),
    ("age", Sort::Age),
    ("waiting", Sort::Waiting),
];

const STATES: [(&str, State); 3] =
    [("running", State::Running), ("ready", State::Ready), ("waiting", State::Waiting)];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) sort: Sort,
    pub(super) descends: bool,
    /// In lower case; empty lets all pass.
    pub(super) filter: String,
    pub(super) state: Option<State>,
    pub(super) number: Option<u64>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            sort: Sort::Id,
            descends: false,
            filter: String::new(),
            state: None,
            number: None,
            limit: LIMIT,
            offset: 0,
        }
    }
}

impl Query {
    /// Of what is behind the question mark. The error says what would be understood.
    pub(super) fn of(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        for (key, value) in pairs(text) {
            // A page has them all in its form, and sends those that are empty as well.
            if value.is_empty() {
                continue;
            }
            match &*key {
                "sort" => query.sort = one_of("sort", &value, &SORTS)?,
                "order" => query.descends = one_of("order", &value, &[("asc", false), ("desc", true)])?,
                "filter" => query.filter = value.to_lowercase(),
                "state" => query.state = Some(one_of("state", &value, &STATES)?),
                "loop" => query.number = Some(number("loop", &value)?),
                "limit" => query.limit = number::<usize>("limit", &value)?.min(LIMIT_MAX),
                "offset" => query.offset = number("offset", &value)?,
                _ => {
                    return Err(format!(
                        "{key:?} means nothing here: there are sort, order, filter, state, loop, limit, offset"
                    ));
                }
            }
        }
        Ok(query)
    }
}

fn one_of<T: Copy>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        format!("{key}={value:?} means nothing: say one of {}", names.join(", "))
    })
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{key}={value:?} is no number: say a whole one, 0 or more"))
}

/// Keys and values, as forms write them.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (plain(key), plain(value)))
}

/// Without the marks of application/x-www-form-urlencoded. What is no text is replaced by a sign that is found nowhere.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (b'%', [high, low, behind @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            (other, _) => *other,
        });
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_what_it_says() {
        let query =
            Query::of("sort=busy&order=desc&filter=A%20b%2Bc+d&state=waiting&loop=3&limit=7&offset=9");
        let wanted = Query {
            sort: Sort::Busy,
            descends: true,
            filter: "a b+c d".to_owned(),
            state: Some(State::Waiting),
            number: Some(3),
            limit: 7,
            offset: 9,
        };
        assert_eq!(query, Ok(wanted));
        assert_eq!(Query::of("&&filter=&loop="), Ok(Query::default()));
        assert_eq!(Query::of("limit=100000000").unwrap().limit, LIMIT_MAX);
    }

    #[test]
    fn what_means_nothing_is_told_what_would() {
        assert!(Query::of("sort=size").unwrap_err().contains("busy"));
        assert!(Query::of("order=up").unwrap_err().contains("desc"));
        assert!(Query::of("state=gone").unwrap_err().contains("ready"));
        assert!(Query::of("loop=-1").unwrap_err().contains("whole"));
        assert!(Query::of("colour=red").unwrap_err().contains("filter"));
    }

    #[test]
    fn marks_that_are_none_are_text() {
        assert_eq!(plain("100%"), "100%");
        assert_eq!(plain("%zz%4"), "%zz%4");
        assert_eq!(plain("%ff"), "\u{fffd}");
    }
}
