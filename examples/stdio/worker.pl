#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# A worker in Perl: a function for each tool.
#
#   pools: [{ runtime: stdio, command: [perl, worker.pl] }]
use strict;
use warnings;
use JSON::PP;

$| = 1;    # every answer leaves at once
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my %tools = (
    add   => sub { my ($args) = @_; return $args->{a} + $args->{b} },
    words => sub {
        my ($args) = @_;
        my %count;
        $count{ lc $_ }++ for $args->{text} =~ /(\w+)/g;
        return \%count;
    },
    fail => sub { die "it failed\n" },
);

while ( my $line = <STDIN> ) {
    my $call = $json->decode($line);
    if ( $call->{describe} ) {
        print $json->encode( { tools => [ sort keys %tools ] } ), "\n";
        next;
    }
    my $tool  = $tools{ $call->{tool} };
    my $answer = eval { { result => $tool->( $call->{args} ) } };
    if ( !$answer ) {
        chomp( my $why = $@ );
        $answer = { error => { type => "PerlError", message => $why } };
    }
    print $json->encode( { id => $call->{id}, %$answer } ), "\n";
}
