// Run the browser's sanitiser on documents: node share.mjs TABLE.json < [{document, keep_seed}] > [result or {error}]
import { readFileSync } from "node:fs";
import { grouped, shareWorkflow } from "../../web/share/clean.mjs";

const table = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = JSON.parse(readFileSync(0, "utf8")).map((job) => {
  try {
    const { workflow, removed, unknown, choose } = shareWorkflow(job.document, table, { keepSeed: job.keep_seed });
    return { workflow, removed: removed.map((r) => [r.node, r.type, r.name, r.what]).sort(), unknown, choose,
      grouped: grouped(removed).map((group) => [group.what, group.rows.length, group.inNodes]) };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(results));
