# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # What a tool reports of its work, to whoever listens to the worker.
  module Telemetry
    class << self
      # Whether somebody listens.
      def enabled?
        Snakepit.listens?
      end

      # Report an event; whether somebody gets it. Figures are numbers, booleans and texts;
      # facts become texts. Without a correlation id it has none.
      def emit(name, measurements = nil, metadata = nil, correlation_id: nil)
        name = name.to_s
        return false unless Snakepit.wants?(name)

        Snakepit.report(name, json(measurements), json(metadata), correlation_id)
      end

      private

      def json(hash)
        return nil if hash.nil?

        require "json"
        JSON.generate(hash, allow_nan: true)
      end
    end
  end
end
