//! What an exchange of messages costs, by the number of connections, as a picture.
//!
//! Figures of the lines about connections in, a file in SVG out. Always true: the vertical axis begins at zero, so that
//! growth is seen as what it is.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::cell::Figures;
use crate::rows::{CONNECTIONS, Row, Subject};

/// Names the file to write; without it there is no picture.
pub const VARIABLE: &str = "SHIM_PLOT";

/// Natively, and as a guest, in microseconds; by number of connections.
pub struct Point {
    open: f64,
    native: f64,
    libshim: f64,
}

/// What is read off a point.
type Figure = fn(&Point) -> f64;

/// What a line gives to the picture, if it is about connections.
pub fn point(row: &Row, figures: &Figures) -> Option<Point> {
    let Subject::Operation((CONNECTIONS, open)) = row.subject else { return None };
    let us = |cost: &Option<Result<f64, String>>| Some(cost.as_ref()?.as_ref().ok()? / 1000.0);
    Some(Point {
        open: open.parse().ok()?,
        native: us(&figures.native)?,
        libshim: us(&figures.libshim)?,
    })
}

/// Draw the picture.
pub fn write(points: &[Point], file: &Path) -> Result<(), Box<dyn Error>> {
    let most = |of: Figure| points.iter().map(of).fold(0.0, f64::max);
    let (width, height) =
        (most(|point| point.open) * 1.05, most(|p| p.native.max(p.libshim)) * 1.2);
    let area = SVGBackend::new(file, (720, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("8 bytes and 8 bytes back over TCP on one host", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..width, 0.0..height)?;
    chart
        .configure_mesh()
        .x_desc("other connections that are open")
        .y_desc("microseconds")
        .max_light_lines(0)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    let lines: [(&str, RGBColor, Figure); 2] = [
        ("natively", RGBColor(120, 120, 120), |point| point.native),
        ("as a guest", RGBColor(0, 90, 180), |point| point.libshim),
    ];
    for (name, color, of) in lines {
        let line = points.iter().map(|point| (point.open, of(point)));
        chart
            .draw_series(LineSeries::new(line.clone(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
