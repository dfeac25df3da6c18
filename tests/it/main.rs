mod files;
mod header;
mod tokens;
