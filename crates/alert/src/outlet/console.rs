//! stub
use super::{Item, Language, worker::Render};
pub(super) struct Lines;
impl Lines {
    pub(super) fn new(_: Language, _: bool, _: bool) -> Self {
        Self
    }
}
impl Render for Lines {
    fn render(&mut self, _: &Item, _: &mut Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }
}
