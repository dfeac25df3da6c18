mod files;
mod tokens;
