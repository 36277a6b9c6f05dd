//! Latencies, and what was done each moment, as SVG.

use plotters::prelude::*;

use crate::report::Report;

const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x17, 0xbe, 0xcf),
];

pub fn svg(reports: &[Report]) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut svg = String::new();
    draw(reports, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(reports: &[Report], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (860, 720)).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(360);

    // What part of the blocks took at most so long.
    let micros = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    let named = |report: &Report, name: &str| match reports.len() {
        1 => name.to_owned(),
        _ => format!("{name}, {}", report.outcome.driver),
    };
    let sides: Vec<_> = reports
        .iter()
        .flat_map(|report| report.sides().map(move |(name, side)| (named(report, name), side)))
        .collect();
    let least = sides.iter().map(|(_, side)| micros(side.latencies.min())).fold(f64::MAX, f64::min).max(0.1);
    let most = sides.iter().map(|(_, side)| micros(side.latencies.max())).fold(least * 2.0, f64::max);
    let mut chart = ChartBuilder::on(&above)
        .margin(10)
        .caption("latency: what part of the blocks took at most so long", ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((least..most * 1.05).log_scale(), 0.0..100.0)?;
    chart.configure_mesh().x_desc("us").y_desc("%").draw()?;
    for ((name, side), colour) in sides.iter().zip(COLOURS.into_iter().cycle()) {
        let points =
            side.latencies.iter_recorded().map(|step| (micros(step.value_iterated_to()), step.percentile()));
        let line = LineSeries::new(points, colour.stroke_width(2));
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;

    let points = || reports.iter().flat_map(|report| &report.outcome.series);
    let seconds = points().map(|(at, _)| *at).fold(0.1, f64::max);
    let iops = points().map(|(_, iops)| *iops).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&below)
        .margin(10)
        .caption("blocks a second", ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..seconds, 0.0..iops * 1.1)?;
    chart.configure_mesh().x_desc("seconds").y_desc("IOPS").draw()?;
    for (report, colour) in reports.iter().zip(COLOURS.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(report.outcome.series.iter().copied(), colour.stroke_width(2)))?
            .label(report.outcome.driver)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    if reports.len() > 1 {
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    }
    root.present()?;
    Ok(())
}
