/** All tests of the page's modules, in one process: `node tests/report/explorer/script/every.mjs`. */
import "./arrays.mjs";
import "./contours.mjs";
import "./frames.mjs";
import "./lattice.mjs";
import "./spots.mjs";
import "./state.mjs";
import "./under.mjs";
import "./words.mjs";
