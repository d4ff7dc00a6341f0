#!/usr/bin/env node
var path = require("path");

require("lifeboat/start").start(path.join(__dirname, ".."), "src/cli.ts", "dist/bin/cli.js");
