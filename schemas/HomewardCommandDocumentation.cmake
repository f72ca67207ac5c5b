# homeward_command_documentation(PROGRAM COMPONENT): the program writes its manual pages and its
# completion for shells, from the definitions of its command line; they are installed with it.
function(homeward_command_documentation program component)
    set(directory ${CMAKE_CURRENT_BINARY_DIR}/documentation/${program})
    add_custom_command(TARGET ${program} POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E rm -rf ${directory}
        COMMAND ${program} --write-documentation ${directory}
        COMMAND sh -c "exec gzip -9n ${directory}/man1/*"
        VERBATIM)
    install(DIRECTORY ${directory}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR}
        COMPONENT ${component})
    install(DIRECTORY ${directory}/bash/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
    install(DIRECTORY ${directory}/zsh/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT ${component})
endfunction()
