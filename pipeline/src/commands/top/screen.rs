//! The terminal: what is drawn on it, and the keys that are pressed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal;

use super::model::Model;
use super::page;
use super::view::View;
use crate::service::now::EVERY_SECONDS;

/// How soon a signal, or another size of the terminal, is seen.
const GLANCE: Duration = Duration::from_millis(200);

/// How wide the terminal is, in characters; none where it does not say.
pub(super) fn columns() -> Option<u16> {
    terminal::size().ok().map(|(columns, _)| columns).filter(|columns| *columns > 0)
}

/// Draws what `read` gives each second until the user has seen enough, beginning with `first`. The
/// terminal is then as it was.
///
/// # Errors
/// The terminal can't be drawn on.
pub(super) fn watch(first: Model, read: impl FnMut() -> Model) -> std::io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&asked);
    // A signal must not leave the terminal without its echo. Where a handler can't be set, one of
    // an embedding program decides.
    let _set = ctrlc::set_handler(move || asked.store(true, Ordering::Release));
    let mut terminal = ratatui::try_init()?;
    let watched = draw(&mut terminal, first, read, &stop);
    let restored = ratatui::try_restore();
    watched.and(restored)
}

fn draw(
    terminal: &mut DefaultTerminal,
    first: Model,
    mut read: impl FnMut() -> Model,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let (mut model, mut view) = (first, View::default());
    let every = Duration::from_secs(EVERY_SECONDS);
    let mut read_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        if !view.paused && read_at.elapsed() >= every {
            model = read();
            read_at = Instant::now();
        }
        terminal.draw(|frame| page::draw(&model, &view, frame.area(), frame.buffer_mut()))?;
        if event::poll(GLANCE)?
            && let Event::Key(key) = event::read()?
            && key.is_press()
            && view.press(key, model.pipelines.len())
        {
            break;
        }
    }
    Ok(())
}
