//! Bars with their spread, as SVG.

use plotters::prelude::*;

use super::report::{Table, number};

const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const THEIRS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const REFERENCE: RGBColor = RGBColor(0x55, 0x5b, 0x66);

/// One bar a contestant, the median, and a line from the least to the most.
pub fn bars(table: &Table) -> Result<String, String> {
    let mut svg = String::new();
    draw(table, &mut svg).map_err(|error| format!("{}: {error}", table.name))?;
    Ok(svg)
}

fn draw(table: &Table, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let rows = table.bars.len().max(1);
    // What is ten times as slow as the rest is cut off, and its figure says how slow.
    let mut medians: Vec<_> = table.bars.iter().map(|(_, spread)| spread.median).collect();
    medians.sort_by(f64::total_cmp);
    let middle = medians.get(medians.len() / 2).copied().unwrap_or(1.0);
    let most = table.bars.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max);
    let limit = most.min(4.0 * middle).max(f64::MIN_POSITIVE) * 1.1;
    let root = SVGBackend::with_string(svg, (760, 60 + 26 * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(150)
        .build_cartesian_2d(0.0..limit, (0..rows).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => rows
            .checked_sub(place + 1)
            .and_then(|row| table.bars.get(row))
            .map_or(String::new(), |(name, _)| name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(&table.axis)
        .y_labels(rows)
        .y_label_formatter(&name)
        .label_style(("sans-serif", 13))
        .draw()?;
    for (row, (name, spread)) in table.bars.iter().rev().enumerate() {
        let colour = match name.as_str() {
            ours if ours.starts_with("annulus") => OURS,
            "bare ring" => REFERENCE,
            _ => THEIRS,
        };
        let (low, high) = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
        let mut bar = Rectangle::new([(0.0, low), (spread.median.min(limit), high)], colour.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let centre = || SegmentValue::CenterOf(row);
        if spread.least < limit {
            let line = vec![(spread.least, centre()), (spread.most.min(limit), centre())];
            chart.draw_series([PathElement::new(line, BLACK.stroke_width(2))])?;
        }
        let label = Text::new(
            number(spread.median),
            (limit * 0.005, centre()),
            ("sans-serif", 12).into_font().color(&WHITE),
        );
        chart.draw_series([label])?;
    }
    root.present()?;
    Ok(())
}
