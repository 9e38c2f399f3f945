import { describe, expect, test } from 'vitest';
import { isTopicFilter, topicMatcher } from '../../program/topic-filter.ts';

describe('a topic filter', () => {
  test.each(['#', '+', 'a', '/', 'a/b', '+/b/#', 'a//b', '/#', '$SYS/#', 'a b/ü'])('is one: %j', (word) => {
    expect(isTopicFilter(word)).toBe(true);
  });

  test.each(['', '#/a', 'a#', 'a/#/b', 'a+', '+a/b', 'a/b+', 'a\0', 'ü'.repeat(32_768)])('is none: %j', (word) => {
    expect(isTopicFilter(word)).toBe(false);
  });
});

// The examples of MQTT 5 §4.7 and their opposites.
describe('takes', () => {
  test.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1'],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking'],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon'],
    ['sport/#', 'sport'],
    ['#', 'any/thing'],
    ['sport/tennis/+', 'sport/tennis/player1'],
    ['sport/+', 'sport/'],
    ['+/+', '/finance'],
    ['/+', '/finance'],
    ['+/tennis/#', 'sport/tennis'],
    ['$SYS/#', '$SYS/monitor'],
    ['$SYS/monitor/+', '$SYS/monitor/Clients'],
    ['a/b', 'a/b'],
    ['+', ''],
  ])('%s %j', (filter, topic) => {
    expect(topicMatcher(filter)(topic)).toBe(true);
  });
});

describe('does not take', () => {
  test.each([
    ['sport/tennis/+', 'sport/tennis/player1/ranking'],
    ['sport/+', 'sport'],
    ['+', '/finance'],
    ['sport/#', 'sports'],
    ['#', '$SYS/monitor'],
    ['+/monitor/Clients', '$SYS/monitor/Clients'],
    ['a/b', 'a/B'],
    ['a/b', 'a/b/'],
  ])('%s %j', (filter, topic) => {
    expect(topicMatcher(filter)(topic)).toBe(false);
  });
});
