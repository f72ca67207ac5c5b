"""Conan 2 recipe: conan create deploy/package/conan"""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

SOURCES = ("CMakeLists.txt", "LICENSE", "schemas/*", "publisher/*")


class HomewardConan(ConanFile):
    name = "homeward"
    license = "MIT"
    description = "Events of apps in every region, written to one PostgreSQL leader"
    topics = ("nats", "postgresql", "multi-region")
    package_type = "static-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "publisher": [True, False],  # False: the replay helper alone, without NATS
        "app": [True, False],  # the facade of both, which needs libpq
        "system_libraries": [True, False],  # those of the machine, in the place of Conan's
    }
    default_options = {"publisher": True, "app": True, "system_libraries": False}

    @property
    def root(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self.root, "CMakeLists.txt"))
        self.version = text.partition("project(homeward VERSION ")[2].split()[0]

    def export_sources(self):
        for pattern in SOURCES:
            copy(self, pattern, self.root, self.export_sources_folder)

    def configure(self):
        if not self.options.publisher:
            self.options.rm_safe("app")

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("homeward uses Linux' own calls")

    def requirements(self):
        if self.options.system_libraries:
            return
        self.requires("openssl/[>=3 <4]")
        if self.options.publisher:
            self.requires("cnats/[>=3.3]")
            self.requires("zstd/[>=1.5 <2]")
            self.requires("nlohmann_json/[>=3.11 <4]")
        if self.options.get_safe("app"):
            self.requires("libpq/[>=14]")

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["HOMEWARD_PUBLISHER"] = bool(self.options.publisher)
        toolchain.cache_variables["HOMEWARD_APP"] = bool(self.options.get_safe("app", False))
        for part in ("FORWARD", "TOOLS", "CONSUMER", "TESTS"):
            toolchain.cache_variables[f"HOMEWARD_{part}"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # Its own homewardConfig.cmake has the targets and homeward_event_types().
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("lib", "cmake", "homeward")]
