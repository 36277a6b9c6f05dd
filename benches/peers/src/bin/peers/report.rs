//! Tables of the figures: for the terminal, as Markdown, and as a page with plots.

use std::fmt::Write as _;

use super::contestants;
use super::figures::{Figures, Spread};
use super::plot;
use super::workloads::{self, Workload};

/// What leads in a table of that workload, and whether it is told as a ratio to the reference.
pub fn leading(workload: Workload) -> (&'static str, bool) {
    match workload {
        Workload::Echo { .. } | Workload::Http { .. } | Workload::Files { .. } => ("cpu", true),
        Workload::Idle { .. } => ("memory", false),
        Workload::Micro(micro, _) => match micro {
            // Two threads and the kernel's wake between them: the time is what people wait for.
            annulus_peers::Micro::CrossThread => ("wall", false),
            _ => ("cpu", false),
        },
        Workload::Calls { .. } => ("calls", false),
        Workload::Instructions { .. } => ("instructions", false),
    }
}

/// What else a table has.
fn others(workload: Workload) -> &'static [&'static str] {
    match workload {
        Workload::Echo { .. } | Workload::Http { .. } => &["cpu", "rate", "busy", "p50", "p99"],
        Workload::Files { .. } => &["cpu", "wall"],
        Workload::Idle { .. } => &["base"],
        Workload::Micro(..) => &["wall"],
        Workload::Calls { .. } | Workload::Instructions { .. } => &[],
    }
}

pub struct Table {
    pub name: String,
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// For the plot: whose, and what.
    pub bars: Vec<(String, Spread)>,
    pub axis: String,
}

/// What the leading figure of a contestant is.
fn lead(figures: &Figures, name: &str, workload: Workload, contestant: &str) -> Option<Spread> {
    match leading(workload) {
        (_, true) => figures.ratio(name, contestant),
        (metric, false) => figures.spread(name, contestant, metric),
    }
}

/// Which workloads stand side by side in the overview, and under what title.
fn group(workload: Workload) -> &'static str {
    match workload {
        Workload::Echo { outstanding: 1, .. } => {
            "Echo, one message outstanding: processor time by the bare ring's"
        }
        Workload::Echo { .. } | Workload::Http { .. } => {
            "Echo with sixteen outstanding, and HTTP: processor time by the bare ring's"
        }
        Workload::Files { .. } => "4 KiB random reads: processor time by the bare ring's",
        Workload::Micro(..) => "Tasks, timers, channels: ns each",
        Workload::Idle { .. } | Workload::Calls { .. } | Workload::Instructions { .. } => {
            "Counts: bytes an idle connection; system calls and user-space instructions a message"
        }
    }
}

/// The leading figures alone: a line a contestant, a column a workload, the best runtime of each column in bold.
pub fn overview(figures: &Figures) -> Vec<Table> {
    let mut groups: Vec<(&str, Vec<(String, Workload)>)> = Vec::new();
    for (name, workload) in workloads::all() {
        if figures.unit(&name, leading(workload).0).is_none() {
            continue;
        }
        match groups.iter_mut().find(|(title, _)| *title == group(workload)) {
            Some((_, members)) => members.push((name, workload)),
            None => groups.push((group(workload), vec![(name, workload)])),
        }
    }
    groups.into_iter().map(|(title, members)| side_by_side(figures, title, &members)).collect()
}

fn side_by_side(figures: &Figures, title: &str, members: &[(String, Workload)]) -> Table {
    let median = |(name, workload): &(String, Workload), contestant: &str| {
        lead(figures, name, *workload, contestant).map(|spread| spread.median)
    };
    let runtimes =
        || contestants::ALL.iter().map(|contestant| contestant.name).filter(|name| !name.starts_with("bare"));
    let best: Vec<Option<f64>> = members
        .iter()
        .map(|member| runtimes().filter_map(|name| median(member, name)).min_by(f64::total_cmp))
        .collect();
    let cell = |value: Option<f64>, best: Option<f64>, is_runtime: bool| match value.map(number) {
        None => "-".to_owned(),
        // As printed: what reads the same is as good.
        Some(text) if is_runtime && best.map(number).as_ref() == Some(&text) => format!("**{text}**"),
        Some(text) => text,
    };
    let names = contestants::ALL.iter().map(|contestant| contestant.name).chain(["fio"]);
    let rows = names
        .filter(|name| members.iter().any(|member| median(member, name).is_some()))
        .map(|name| {
            let is_runtime = runtimes().any(|runtime| runtime == name);
            let cells = members.iter().zip(&best);
            let cells = cells.map(|(member, best)| cell(median(member, name), *best, is_runtime));
            std::iter::once(name.to_owned()).chain(cells).collect()
        })
        .collect();
    let head = members.iter().map(|(name, _)| {
        let short = ["echo-", "files-", "micro-"].iter().find_map(|prefix| name.strip_prefix(prefix));
        short.unwrap_or(name).to_owned()
    });
    Table {
        name: String::new(),
        title: title.to_owned(),
        head: std::iter::once(String::new()).chain(head).collect(),
        rows,
        bars: Vec::new(),
        axis: String::new(),
    }
}

/// One table a workload, in the order in which they are listed.
pub fn tables(figures: &Figures, missing: &[(String, String, String)]) -> Vec<Table> {
    workloads::all()
        .into_iter()
        .filter_map(|(name, workload)| table(figures, missing, name, workload))
        .collect()
}

fn table(
    figures: &Figures,
    missing: &[(String, String, String)],
    name: String,
    workload: Workload,
) -> Option<Table> {
    let (metric, as_ratio) = leading(workload);
    let others: Vec<_> =
        others(workload).iter().filter(|other| figures.unit(&name, other).is_some()).copied().collect();
    let unit = figures.unit(&name, metric)?;
    let axis = if as_ratio { format!("{metric}, by the bare ring's") } else { unit.to_owned() };
    let mut head = vec![String::new(), axis.clone(), "least to most".to_owned()];
    let unit = |other: &str| format!("{other}, {}", figures.unit(&name, other).unwrap_or_default());
    head.extend(others.iter().map(|other| unit(other)));
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    let names = contestants::ALL.iter().map(|contestant| contestant.name).chain(["fio"]);
    for contestant in names {
        let Some(spread) = lead(figures, &name, workload, contestant) else {
            let reason = missing.iter().find(|(workload, whose, _)| *workload == name && whose == contestant);
            rows.extend(
                reason.map(|(_, _, reason)| vec![contestant.to_owned(), "-".to_owned(), reason.clone()]),
            );
            continue;
        };
        let mut row = vec![contestant.to_owned(), number(spread.median)];
        row.push(format!("{} to {}", number(spread.least), number(spread.most)));
        row.extend(others.iter().map(|other| {
            figures.spread(&name, contestant, other).map_or("-".to_owned(), |spread| number(spread.median))
        }));
        rows.push(row);
        bars.push((contestant.to_owned(), spread));
    }
    Some(Table { title: workload.title(), name, head, rows, bars, axis })
}

/// Three digits that mean something.
pub fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub fn for_terminal(table: &Table) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_preset(comfy_table::presets::ASCII_MARKDOWN).set_header(&table.head).add_rows(&table.rows);
    format!("\n{} ({})\n{drawn}", table.title, table.name)
}

pub fn as_markdown(table: &Table, level: &str) -> String {
    let name = if table.name.is_empty() { String::new() } else { format!(" (`{}`)", table.name) };
    let mut text = format!("{level} {}{name}\n\n", table.title);
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text += &line(&table.head);
    text += &format!("|---|{}\n", "--:|".repeat(table.head.len() - 1));
    for row in &table.rows {
        let mut row = row.clone();
        row.resize(table.head.len(), String::new());
        text += &line(&row);
    }
    text
}

/// A page of its own: head, tables, plots.
pub fn as_page<'a>(head: &str, tables: impl IntoIterator<Item = &'a Table>) -> Result<String, String> {
    let mut page = String::from(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>annulus beside its peers</title>\n<style>\
         body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
         td:first-child,th:first-child{text-align:left}pre{background:#f6f6f6;padding:1rem;overflow:auto}\
         svg{max-width:100%;height:auto}</style>\n<h1>annulus beside its peers</h1>\n",
    );
    let _ = writeln!(page, "<pre>{}</pre>", escaped(head));
    for table in tables {
        let plot = if table.bars.is_empty() { String::new() } else { plot::bars(table)? };
        let _ = writeln!(page, "<h2 id=\"{0}\">{1}</h2>\n{plot}", table.name, escaped(&table.title));
        page += "<table><tr>";
        table.head.iter().for_each(|cell| page += &format!("<th>{}</th>", escaped(cell)));
        page += "</tr>\n";
        for row in &table.rows {
            page += "<tr>";
            for cell in row {
                let strong = cell.strip_prefix("**").and_then(|cell| cell.strip_suffix("**"));
                page += &match strong {
                    Some(best) => format!("<td><b>{best}</b></td>"),
                    None => format!("<td>{}</td>", escaped(cell)),
                };
            }
            page += "</tr>\n";
        }
        page += "</table>\n";
    }
    Ok(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::contestants::REFERENCE;
    use super::super::measure::Found;
    use super::*;

    fn turns<'a>(figures: &[(&'a str, f64)]) -> Vec<(&'a str, Found)> {
        figures.iter().map(|(who, value)| (*who, vec![("cpu", *value, "ns a message")])).collect()
    }

    #[test]
    fn the_overview_marks_the_best_runtime_and_no_bare_loop() {
        let contestants =
            [(REFERENCE, 1000.0), ("bare epoll", 900.0), ("annulus", 1020.0), ("tokio", 1100.0)];
        let mut figures = Figures::default();
        figures.add_round("echo-64Bx64", 0, turns(&contestants));
        let tables = overview(&figures);
        assert_eq!(tables.len(), 1);
        let markdown = as_markdown(&tables[0], "##");
        assert!(markdown.contains("\n|  | 64Bx64 |\n"), "{markdown}");
        assert!(
            markdown.contains("\n| bare epoll | 0.90 |\n| annulus | **1.02** |\n| tokio | 1.10 |"),
            "{markdown}"
        );
    }

    #[test]
    fn a_table_has_ratios_and_says_what_is_missing() {
        let mut figures = Figures::default();
        figures.add_round("echo-64Bx64", 0, turns(&[(REFERENCE, 1000.0), ("annulus", 1020.0)]));
        let missing = [("echo-64Bx64".to_owned(), "smol".to_owned(), "it <failed>".to_owned())];
        let tables = tables(&figures, &missing);
        assert_eq!(tables.len(), 1);
        let markdown = as_markdown(&tables[0], "##");
        assert!(markdown.contains("| annulus | 1.02 | 1.02 to 1.02 | 1020 |"), "{markdown}");
        assert!(markdown.contains("| smol | - | it <failed> |"), "{markdown}");
        let page = as_page("kernel", &tables).unwrap();
        assert!(page.contains("<svg") && page.contains("it &lt;failed&gt;"));
    }
}
