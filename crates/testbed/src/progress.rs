//! What the user sees while waiting.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Reports steps with the time since the beginning, on standard error or nowhere.
#[derive(Debug, Clone)]
pub struct Progress {
    is_silent: bool,
    begun: Instant,
}

impl Progress {
    /// Says what happens on standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self { is_silent: false, begun: Instant::now() }
    }

    /// Says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { is_silent: true, begun: Instant::now() }
    }

    /// One finished step, with the seconds since the beginning.
    pub fn step(&self, text: &str) {
        if !self.is_silent {
            eprintln!("{:7.1} s  {text}", self.begun.elapsed().as_secs_f64());
        }
    }

    /// Begins a long task of about `total` parts.
    pub(crate) fn task(&self, name: &'static str, total: usize) -> Task {
        let bar = (!self.is_silent && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template(
                "{elapsed_precise} {prefix} [{bar:30}] {pos}/{len} packages  {wide_msg}",
            ) {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Task { progress: self.clone(), name, total, done: 0, bar, last_line: Instant::now() }
    }
}

/// A long task under way: a bar on a terminal, otherwise a line every few seconds.
pub(crate) struct Task {
    progress: Progress,
    name: &'static str,
    total: usize,
    done: usize,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Task {
    /// One more part is done, or begun: `part` names it.
    pub(crate) fn advance(&mut self, part: &str) {
        self.done += 1;
        self.note(part);
    }

    /// Something is going on that is not a part.
    pub(crate) fn note(&mut self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
            bar.set_message(text.to_owned());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.progress
                .step(&format!("{}: {} of at most {} packages, {text}", self.name, self.done, self.total));
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
