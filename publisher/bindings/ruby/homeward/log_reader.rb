# frozen_string_literal: true

require "socket"

module Homeward
  # Calls on_log on a thread of Ruby's. The library writes its lines to a socket: a callback from
  # one of its own threads would hang in a forked child, and crash an interpreter that is ending.
  # Forked children share the socket; each line is told once, in whichever process reads it first.
  class LogReader
    LINE_BYTES_MAX = 4096

    def initialize(on_log)
      @on_log = on_log
      @from, @to = UNIXSocket.pair(:DGRAM)
      start
    end

    # For homeward_options.log_socket.
    def fileno
      @to.fileno
    end

    # Threads do not survive fork(). No Mutex: an emit in a signal's handler comes here.
    def start
      return if @pid == Process.pid

      @pid = Process.pid
      @thread = Thread.new { read_all }
      @thread.report_on_exception = false
    end

    # What is there now, at once: at exit, when the thread may not run any more.
    def drain
      loop do
        line = @from.recv_nonblock(LINE_BYTES_MAX, exception: false)
        break unless line.is_a?(String)

        tell(line)
      end
    rescue SystemCallError, IOError
      nil
    end

    # A line, by whoever has it.
    def tell(line)
      @on_log.call(line.force_encoding(Encoding::UTF_8).scrub)
    rescue StandardError => e
      warn "homeward: on_log raised #{e.class}: #{e.message}"
    end

    private

    def read_all
      loop { tell(@from.recv(LINE_BYTES_MAX)) }
    rescue SystemCallError, IOError
      nil
    end
  end
end
