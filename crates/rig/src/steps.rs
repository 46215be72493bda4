//! What the user sees while waiting: a spinner on a terminal, plain lines otherwise.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What has been done so far and how long it took.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
}

/// Where a step says how far it is.
#[derive(Clone, Debug)]
pub struct Note {
    bar: ProgressBar,
    started: Instant,
    text: Arc<Mutex<String>>,
}

impl Note {
    /// What is going on now.
    pub fn set(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        text.clone_into(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What has happened now, in a line that stays.
    pub fn say(&self, text: &str) {
        let line = format!("{:7.1} s    {text}", self.started.elapsed().as_secs_f64());
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn get(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Steps {
    /// Does `work`, and shows that it goes on.
    pub async fn step<T, E>(
        &mut self,
        title: &str,
        work: impl AsyncFnOnce(&Note) -> Result<T, E>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let note = Note { bar: bar(title), started, text: Arc::default() };
        let heartbeat = async {
            loop {
                tokio::time::sleep(LINE_EVERY).await;
                if note.bar.is_hidden() {
                    eprintln!("{:7.1} s  {title} … {}", started.elapsed().as_secs_f64(), note.get());
                }
            }
        };
        let result = tokio::select! {
            result = work(&note) => result,
            () = heartbeat => std::future::pending().await,
        };
        note.bar.finish_and_clear();
        if result.is_ok() {
            self.done(title, started.elapsed());
        }
        result
    }

    /// Notes a step that showed its progress itself.
    pub fn done(&mut self, title: &str, took: Duration) {
        eprintln!("{:7.1} s  {title}", took.as_secs_f64());
        self.done.push((title.to_owned(), took));
    }

    /// How long each step took, and all of them.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = "How long it took\n".to_owned();
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        let rows = self.done.iter().map(|(title, took)| (title.as_str(), *took)).chain([("in all", total)]);
        for (title, took) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:7.1} s  {title}", took.as_secs_f64());
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn bar(title: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_prefix(title.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>7} {spinner} {prefix}  {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
