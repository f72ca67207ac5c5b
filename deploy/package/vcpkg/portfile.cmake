# An overlay port of the tree that contains it: vcpkg install homeward --overlay-ports=deploy/package
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options
    FEATURES publisher HOMEWARD_PUBLISHER app HOMEWARD_APP)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS ${feature_options} -DHOMEWARD_FORWARD=OFF -DHOMEWARD_TOOLS=OFF -DHOMEWARD_CONSUMER=OFF -DHOMEWARD_TESTS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/homeward)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
