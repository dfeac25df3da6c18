mod shipped_model;
mod train;
