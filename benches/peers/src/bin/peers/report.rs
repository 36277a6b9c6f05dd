//! Tables of the figures: for the terminal, as Markdown, and as a page with plots.

use std::fmt::Write as _;

use super::contestants::{self, REFERENCE};
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
        let spread = match as_ratio {
            true => figures.ratio(&name, contestant, REFERENCE, metric),
            false => figures.spread(&name, contestant, metric),
        };
        let Some(spread) = spread else {
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
    let mut text = format!("{level} {} (`{}`)\n\n", table.title, table.name);
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
pub fn as_page(head: &str, tables: &[Table]) -> Result<String, String> {
    let mut page = String::from(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>annulus beside its peers</title>\n<style>\
         body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
         td:first-child,th:first-child{text-align:left}pre{background:#f6f6f6;padding:1rem;overflow:auto}\
         svg{max-width:100%;height:auto}</style>\n<h1>annulus beside its peers</h1>\n",
    );
    let _ = writeln!(page, "<pre>{}</pre>", escaped(head));
    for table in tables {
        let _ = writeln!(
            page,
            "<h2 id=\"{0}\">{1}</h2>\n{2}",
            table.name,
            escaped(&table.title),
            plot::bars(table)?
        );
        page += "<table><tr>";
        table.head.iter().for_each(|cell| page += &format!("<th>{}</th>", escaped(cell)));
        page += "</tr>\n";
        for row in &table.rows {
            page += "<tr>";
            row.iter().for_each(|cell| page += &format!("<td>{}</td>", escaped(cell)));
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
    use super::super::figures::Figure;
    use super::*;

    #[test]
    fn a_table_has_ratios_and_says_what_is_missing() {
        let figure = |contestant: &str, value| Figure {
            workload: "echo-64Bx64".to_owned(),
            contestant: contestant.to_owned(),
            round: 0,
            metric: "cpu".to_owned(),
            value,
            unit: "ns a message".to_owned(),
        };
        let figures = Figures(vec![figure(REFERENCE, 1000.0), figure("annulus", 1020.0)]);
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
