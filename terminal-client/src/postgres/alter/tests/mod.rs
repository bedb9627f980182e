mod model;
mod plans;
mod statements;
mod types;
