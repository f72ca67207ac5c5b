# homeward_event_types(<target> FILE...)
#
# Generates one header per event type and puts it on the include path of <target>:
#   homeward_event_types(shop order.json)   →   #include <order.event.hpp>
# The types that ship are ${homeward_SCHEMAS_DIR}/audit.json and metric.json.
# The header's name is the type's "title", which must be the file's name without its extension.
function(homeward_event_types target)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}_event_types)
    set(headers "")
    foreach(file IN LISTS ARGN)
        cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
                   OUTPUT_VARIABLE source)
        cmake_path(GET source STEM name)
        add_custom_command(
            OUTPUT ${out}/${name}.event.hpp
            COMMAND homeward::generate --out ${out} ${source}
            # The header is not rewritten when nothing changed; its time stamp must follow anyway.
            COMMAND ${CMAKE_COMMAND} -E touch_nocreate ${out}/${name}.event.hpp
            DEPENDS ${source} homeward::generate
            COMMENT "Generating ${name}.event.hpp"
            VERBATIM)
        list(APPEND headers ${out}/${name}.event.hpp)
    endforeach()
    target_sources(${target} PRIVATE ${headers})
    target_include_directories(${target} PRIVATE ${out})
endfunction()
