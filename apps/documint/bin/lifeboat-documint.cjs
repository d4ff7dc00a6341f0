#!/usr/bin/env node
// biome-ignore lint/style/useNodejsImportProtocol: an old Node must be able to run this file
var path = require("path");

require("lifeboat/start").start(path.join(__dirname, ".."), "src/cli.ts", "dist/bin/cli.js");
