pub struct ModelFiles;
pub struct Source;
