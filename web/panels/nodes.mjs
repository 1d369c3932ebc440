// The panels of our nodes.
import { checkPanel, reportPanel, savePanel } from "./compare.mjs";
import { FacePicker } from "./picker.mjs";

export const panels = {
	picker: (node) => new FacePicker(node),
	check: checkPanel,
	saved: savePanel,
	report: reportPanel,
};
