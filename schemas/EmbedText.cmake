# Turns text files into one C++ source: cmake -DOUT=… -DFILES=a;b -P EmbedText.cmake
# MIGRATIONS=ON: migrations.cpp from NNNN_name.sql, with their checksums, and OBJECTS, a file;
# otherwise event types from name.json.
set(entries "")
foreach(file IN LISTS FILES)
    get_filename_component(stem ${file} NAME_WE)
    file(READ ${file} text)
    # A raw string literal may be at most 64 KiB in some compilers; ours are far below.
    if(MIGRATIONS)
        string(REGEX MATCH "^[0-9]+" number ${stem})
        string(REGEX REPLACE "^0+" "" version ${number})
        string(REGEX REPLACE "^[0-9]+_" "" name ${stem})
        file(SHA256 ${file} sha256)
        string(APPEND entries
            "    {${version}, \"${name}\", R\"homeward(${text})homeward\",\n     \"${sha256}\"},\n")
    else()
        string(APPEND entries "    {\"${stem}\", R\"homeward(${text})homeward\"},\n")
    endif()
endforeach()
if(MIGRATIONS)
    set(type Migration)
    set(name migrations)
    file(READ ${OBJECTS} objects)
    set(more "std::string_view released_objects() { return R\"homeward(${objects})homeward\"; }\n\n")
else()
    set(type ShippedEventType)
    set(name shipped_event_types)
    set(more "")
endif()
file(WRITE ${OUT}
"#include \"schemas/types/embedded.hpp\"

namespace homeward {
namespace {
constexpr ${type} kEntries[] = {
${entries}};
}  // namespace

std::span<const ${type}> ${name}() { return kEntries; }

${more}}  // namespace homeward
")
