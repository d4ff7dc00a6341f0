#!/usr/bin/env node
// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node must be able to parse this file
var path = require("path");

require("./start.cjs").start(path.join(__dirname, ".."), "src/main.ts", "dist/bin/main.js");
