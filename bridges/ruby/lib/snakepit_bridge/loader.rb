# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # From an adapter's name to the tools a worker serves:
  #
  #   showcase            the adapter that comes with the package
  #   path/to/file.rb     its adapter: the class that descends from Snakepit::Adapter or
  #                       is named like the file, or else the only one it defines
  #   file.rb:Class       a class, also one that is no Adapter; Outer::Class
  #   none                no adapter: there are no tools
  module Loader
    SHOWCASE = File.join(__dir__, "showcase.rb")
    private_constant :SHOWCASE

    def self.load(spec)
      return ToolSet.new(nil) if spec == "none"

      spec = "#{SHOWCASE}:Snakepit::Showcase" if spec == "showcase"
      file, _, name = spec.partition(/(?<=\.rb):/)
      raise ArgumentError, "adapter #{spec}: no such file" unless File.file?(file)

      before = classes
      require File.expand_path(file)
      found = name.empty? ? only_adapter(file, classes - before) : find_class(name)
      ToolSet.new(found.new)
    end

    def self.find_class(name)
      found = Object.const_get(name)
      raise ArgumentError, "#{name} is no class" unless found.is_a?(Class)

      found
    end

    # The named classes that there are.
    def self.classes
      ObjectSpace.each_object(Class).reject { |each| each.singleton_class? || each.name.nil? }
    end

    def self.only_adapter(file, fresh)
      own = fresh.select { |each| each < Adapter }
      own = fresh.select { |each| each.name.downcase == stem(file) } if own.empty?
      own = fresh.select { |each| defined_in?(each, file) } if own.empty?
      return own.first if own.size == 1

      raise ArgumentError, "#{file}: #{own.empty? ? 'no adapter class' : 'several classes: ' + own.map(&:name).sort.join(', ')}; " \
                           "say which, as in #{file}:#{own.empty? ? 'Name' : own.map(&:name).min}"
    end

    def self.stem(file)
      File.basename(file, ".rb").delete("_").downcase
    end

    def self.defined_in?(each, file)
      place = Object.const_source_location(each.name)
      place && File.expand_path(place.first.to_s) == File.expand_path(file)
    end
    private_class_method :find_class, :classes, :only_adapter, :stem, :defined_in?
  end

  # What a worker serves.
  class ToolSet
    attr_reader :owner, :signatures

    def initialize(owner)
      @owner = owner
      @signatures = {}
      @facts = {}
      return if owner.nil?

      declared = owner.class.respond_to?(:declared_tools) ? owner.class.declared_tools : {}
      table = command_table
      declared.each { |name, facts| add_method(name, facts) }
      if table
        table.each { |name, callable| add_command(name.to_s, callable) }
      elsif declared.empty?
        public_methods_of(owner).each { |name| add_method(name.to_s, {}) }
      end
    end

    # name => what the extension calls.
    def table
      @signatures.transform_values(&:entry)
    end

    # Tell the worker of every tool.
    def announce(worker)
      @signatures.each do |name, signature|
        facts = @facts[name]
        worker.add_tool(name, facts[:description], signature.streaming?,
                        signature.announced, facts[:idempotent])
      end
    end

    def start
      @owner.setup if @owner.respond_to?(:setup)
    end

    def stop
      @owner.close if @owner.respond_to?(:close)
    end

    def end_session(session)
      @owner.session_ended(session) if @owner.respond_to?(:session_ended)
    end

    private

    def add(name, facts, signature)
      @facts[name] = facts
      @signatures[name] = signature
    end

    def add_method(name, facts)
      method = @owner.method(name)
      add(name, facts, Signature.new(@owner, name.to_sym, method, facts))
    end

    # An object that keeps its commands in a Hash, @commands: each takes one Hash.
    def add_command(name, callable)
      add(name, {}, Signature.new(callable, :call, callable, {}, style: Signature::STYLE_HASH))
    end

    def command_table
      table = @owner.instance_variable_get(:@commands)
      return unless table.is_a?(Hash) && !table.empty?

      table if table.values.all? { |each| each.respond_to?(:call) && each.respond_to?(:parameters) }
    end

    LIFE = %i[setup close session_ended ctx run].freeze
    private_constant :LIFE

    def public_methods_of(owner)
      ancestors = owner.class.ancestors.take_while { |each| ![Object, Adapter].include?(each) }
      ancestors.flat_map { |each| each.public_instance_methods(false) }.uniq - LIFE
    end
  end
end
