# homeward_event_types(<target> FILE...)
#
# Generates one header per event type and puts it on the include path of <target>:
#   homeward_event_types(shop order.json)   →   #include <order.event.hpp>
# The types that ship are ${homeward_SCHEMAS_DIR}/audit.json, metric.json and metric_point.json.
# The header's name is the type's "title", whatever the file is called.
function(homeward_event_types target)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}_event_types)
    set(headers "")
    foreach(file IN LISTS ARGN)
        cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
                   OUTPUT_VARIABLE source)
        # What is wrong with a file without a title, the generator says.
        cmake_path(GET source STEM name)
        if(EXISTS ${source})
            file(READ ${source} schema)
            string(JSON title ERROR_VARIABLE no_title GET "${schema}" title)
            if(NOT no_title)
                set(name ${title})
            endif()
            set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
        endif()
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
