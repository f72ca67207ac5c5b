# frozen_string_literal: true

# Calls that run in the primary region: see README.md beside homeward.rb. The side beside the leader
# needs a library of its own: require "homeward/forward/server".

require "homeward/forward/native"
require "homeward/forward/reply"
require "homeward/forward/client"
