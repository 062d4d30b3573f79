//! stub
use super::{Item, worker::Render};
pub(super) struct Ecs;
pub(super) struct Basic;
impl Ecs {
    pub(super) fn new(_: &str) -> Self {
        Self
    }
}
impl Render for Ecs {
    fn render(&mut self, _: &Item, _: &mut Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }
}
impl Render for Basic {
    fn render(&mut self, _: &Item, _: &mut Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }
}
