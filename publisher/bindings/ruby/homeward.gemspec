# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "homeward"
  spec.version = "0.1.0"
  spec.summary = "Background writes home to PostgreSQL's leader, and requests to its region"
  spec.description = "The publisher and forwarded calls by FFI on libhomeward, and the replay helper " \
                     "for Rack and Rails."
  spec.authors = ["Homeward"]
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.0"
  spec.files = Dir["homeward.rb", "homeward/**/*.rb", "README.md"]
  spec.require_paths = ["."]
  spec.add_dependency "ffi", ">= 1.15"
end
