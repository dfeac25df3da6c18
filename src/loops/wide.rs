//! Loops in `f64`, for weights that are processed once.

/// `sums[i] += by · row[i]`
pub fn add_scaled_to_wide(sums: &mut [f64], by: f64, row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += by * f64::from(*x));
}

/// `sums[i] += by · row[i]`, each product rounded to `f32` first.
pub fn add_rounded_to_wide(sums: &mut [f64], by: f32, row: &[f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(by * *x));
}

/// `row[i] = by · row[i] − means[i]`, the product rounded to `f32` first.
pub fn scale_and_center(row: &mut [f32], by: f32, means: &[f64]) {
    row.iter_mut().zip(means).for_each(|(x, mean)| *x = (f64::from(by * *x) - mean) as f32);
}

pub fn mean(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x)).sum::<f64>() / row.len() as f64
}

/// A row loses its own mean.
pub fn center(row: &mut [f32]) {
    let mean = mean(row);
    row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
}

pub fn dot_wide(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x[i] += by · v[i]`
pub fn add_scaled_wide(x: &mut [f64], by: f64, v: &[f64]) {
    x.iter_mut().zip(v).for_each(|(x, v)| *x += by * v);
}

/// Turns two columns by an angle in their plane.
pub fn rotate(x: &mut [f64], y: &mut [f64], cos: f64, sin: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}
