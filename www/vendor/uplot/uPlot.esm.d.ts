// uPlot's own types, as npm has them.
export { default } from "uplot";
